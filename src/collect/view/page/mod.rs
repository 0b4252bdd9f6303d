//! The page: one document with everything in it, which fetches `/status.json` again and again.

/// The document.
pub const PAGE: &str = include_str!("page.html");

/// The lines of an answer's head that go with it: it runs its own script and style and loads
/// nothing from elsewhere, whatever a box may have smuggled in.
pub const HEADERS: &str = concat!(
    "Content-Security-Policy: default-src 'none'; connect-src 'self'; img-src data:; ",
    "script-src 'sha256-KZPZswYRVzNQxK0A04sJ54JOTJlq63br+ou1uKshIhE='; ",
    "style-src 'sha256-sPdQsP9l980+zspyJjiEcX6pnow43U8MDJwZ0jiVpFw='; ",
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n",
    "Referrer-Policy: no-referrer\r\n",
);

#[cfg(test)]
mod tests {
    use super::*;

    /// SHA-256 as FIPS 180-4 has it.
    fn sha256(text: &str) -> Vec<u8> {
        let roots = |power: f64| {
            let primes = (2u32..312).filter(|n| (2..*n).all(|d| n % d != 0));
            primes.map(move |n| (f64::from(n).powf(power).fract() * 4_294_967_296.0) as u32)
        };
        let keys: Vec<u32> = roots(1.0 / 3.0).take(64).collect();
        let mut state: Vec<u32> = roots(0.5).take(8).collect();
        let mut bytes = text.as_bytes().to_vec();
        bytes.push(0x80);
        while bytes.len() % 64 != 56 {
            bytes.push(0);
        }
        bytes.extend((text.len() as u64 * 8).to_be_bytes());
        for block in bytes.chunks(64) {
            let words = block
                .chunks(4)
                .map(|it| u32::from_be_bytes(it.try_into().unwrap()));
            let mut w: Vec<u32> = words.collect();
            for i in 16..64 {
                let (a, b) = (w[i - 15], w[i - 2]);
                let s0 = a.rotate_right(7) ^ a.rotate_right(18) ^ a >> 3;
                let s1 = b.rotate_right(17) ^ b.rotate_right(19) ^ b >> 10;
                let sum = w[i - 16].wrapping_add(s0).wrapping_add(w[i - 7]);
                w.push(sum.wrapping_add(s1));
            }
            let mut v = state.clone();
            for i in 0..64 {
                let (a, e) = (v[0], v[4]);
                let s1 = e.rotate_right(6) ^ e.rotate_right(11) ^ e.rotate_right(25);
                let choice = e & v[5] ^ !e & v[6];
                let first = [v[7], s1, choice, keys[i], w[i]];
                let first = first.into_iter().fold(0, u32::wrapping_add);
                let s0 = a.rotate_right(2) ^ a.rotate_right(13) ^ a.rotate_right(22);
                let majority = a & v[1] ^ a & v[2] ^ v[1] & v[2];
                v.rotate_right(1);
                v[0] = first.wrapping_add(s0).wrapping_add(majority);
                v[4] = v[4].wrapping_add(first);
            }
            for (old, new) in state.iter_mut().zip(v) {
                *old = old.wrapping_add(new);
            }
        }
        state.into_iter().flat_map(u32::to_be_bytes).collect()
    }

    fn base64(bytes: &[u8]) -> String {
        const LETTERS: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut text = String::new();
        for three in bytes.chunks(3) {
            let at = |i: usize| u32::from(three.get(i).copied().unwrap_or(0));
            let bits = at(0) << 16 | at(1) << 8 | at(2);
            for place in 0..4 {
                let letter = LETTERS[(bits >> (18 - 6 * place) & 63) as usize];
                let is_there = place <= three.len();
                text.push(if is_there { char::from(letter) } else { '=' });
            }
        }
        text
    }

    /// What stands between the only two tags of this name.
    fn inside(tag: &str) -> &'static str {
        let (begin, end) = (format!("<{tag}>"), format!("</{tag}>"));
        assert_eq!(PAGE.matches(&begin).count(), 1);
        let (_, rest) = PAGE.split_once(&begin).unwrap();
        rest.split_once(&end).unwrap().0
    }

    #[test]
    fn the_sum_is_the_right_one() {
        let sum = base64(&sha256("abc"));
        assert_eq!(sum, "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=");
    }

    #[test]
    fn what_the_page_brings_may_run() {
        for tag in ["script", "style"] {
            let sum = base64(&sha256(inside(tag)));
            assert!(
                HEADERS.contains(&format!("{tag}-src 'sha256-{sum}'")),
                "{tag}: {sum}"
            );
        }
    }

    #[test]
    fn nothing_is_loaded_from_elsewhere_and_nothing_becomes_markup() {
        assert!(PAGE.starts_with("<!doctype html>\n<html lang=\"en\">"));
        let bad = [
            " src=",
            "HTML",
            "insertAdjacent",
            "eval(",
            " style=",
            " onclick",
            " onload",
            "import",
            "https://",
        ];
        for bad in bad {
            assert!(!PAGE.contains(bad), "{bad}");
        }
    }
}
