//! Processor instructions that not every processor of a kind has, as safe functions. They touch
//! nothing but their arguments, so pure modules may call them.

/// Sixteen bytes that leave the remainder of `blocks`: CRC-32 in the bit order of Ethernet and
/// gzip, begun with `remainder` for the blocks and with 0 for the sixteen bytes. `None` where that
/// would be no gain, because the processor cannot multiply without carries or the blocks are few.
pub fn fold_crc32(remainder: u32, blocks: &[[u8; 16]]) -> Option<[u8; 16]> {
    #[cfg(target_arch = "x86_64")]
    if let Some((lanes, rest)) = blocks.split_first_chunk::<{ x86_64::LANES }>()
        && std::arch::is_x86_feature_detected!("pclmulqdq")
    {
        // SAFETY: the processor has the one feature that the function asks for beyond those of
        // every x86_64.
        return Some(unsafe { x86_64::fold(remainder, lanes, rest) });
    }
    let _ = (remainder, blocks);
    None
}

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use std::arch::x86_64::{
        __m128i, _mm_clmulepi64_si128, _mm_cvtsi32_si128, _mm_cvtsi128_si64, _mm_set_epi64x,
        _mm_unpackhi_epi64, _mm_xor_si128,
    };

    /// Blocks that are folded side by side: one multiplication takes as long as several that do not
    /// wait for it.
    pub const LANES: usize = 4;

    /// Moves a remainder over as many blocks as stand side by side, or over one.
    const OVER_LANES: [u64; 2] = factors(LANES);
    const OVER_ONE: [u64; 2] = factors(1);

    /// The result of [`fold_crc32`](super::fold_crc32) for `first` and then `rest`.
    #[target_feature(enable = "pclmulqdq")]
    pub fn fold(remainder: u32, first: &[[u8; 16]; LANES], rest: &[[u8; 16]]) -> [u8; 16] {
        let [a, b, c, d] = *first;
        // A CRC goes on by an exclusive or of its remainder with the next four bytes.
        let begun = _mm_cvtsi32_si128(remainder.cast_signed());
        let mut lanes = [_mm_xor_si128(load(a), begun), load(b), load(c), load(d)];
        let (groups, rest) = rest.as_chunks::<LANES>();
        let factors = pair(OVER_LANES);
        for group in groups {
            for (lane, block) in lanes.iter_mut().zip(group) {
                *lane = _mm_xor_si128(moved(*lane, factors), load(*block));
            }
        }
        let factors = pair(OVER_ONE);
        // The lanes stand one block apart; each is moved over the one behind it, then over the
        // rest.
        let [mut all, others @ ..] = lanes;
        for block in others {
            all = _mm_xor_si128(moved(all, factors), block);
        }
        for block in rest {
            all = _mm_xor_si128(moved(all, factors), load(*block));
        }
        let low = _mm_cvtsi128_si64(all).cast_unsigned();
        let high = _mm_cvtsi128_si64(_mm_unpackhi_epi64(all, all)).cast_unsigned();
        (u128::from(low) | u128::from(high) << 64).to_le_bytes()
    }

    /// The worth of `lane` so many blocks further on.
    #[target_feature(enable = "pclmulqdq")]
    fn moved(lane: __m128i, factors: __m128i) -> __m128i {
        let first = _mm_clmulepi64_si128::<0x00>(lane, factors);
        let second = _mm_clmulepi64_si128::<0x11>(lane, factors);
        _mm_xor_si128(first, second)
    }

    #[target_feature(enable = "sse2")]
    fn load(block: [u8; 16]) -> __m128i {
        let bits = u128::from_le_bytes(block);
        pair([bits as u64, (bits >> 64) as u64])
    }

    #[target_feature(enable = "sse2")]
    fn pair([low, high]: [u64; 2]) -> __m128i {
        _mm_set_epi64x(high.cast_signed(), low.cast_signed())
    }

    /// For the first and for the second half of a block: the power of x by which it moves when it
    /// is taken over so many blocks. The product of two numbers whose lowest bit comes first stands
    /// one bit too low, and the second factor has 32 bits where there is room for 64.
    const fn factors(blocks: usize) -> [u64; 2] {
        let bits = 128 * blocks;
        [power(bits + 32) << 1, power(bits - 32) << 1]
    }

    /// x to the power of `exponent`, modulo the polynomial; the lowest bit has the highest power.
    const fn power(exponent: usize) -> u64 {
        let mut remainder: u32 = 1 << 31;
        let mut done = 0;
        while done < exponent {
            let carry = remainder & 1;
            remainder = (remainder >> 1) ^ (0xedb8_8320 * carry);
            done += 1;
        }
        remainder as u64
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn the_factors_are_those_of_the_literature() {
            assert_eq!(OVER_LANES, [0x1_5444_2bd4, 0x1_c6e4_1596]);
            assert_eq!(OVER_ONE, [0x1_7519_97d0, 0x0_ccaa_009e]);
        }
    }
}
