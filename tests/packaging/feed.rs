//! The recipe for OpenWrt under make, with a few lines that stand for the build system: its own files are not here.

use std::fs;
use std::process::Command;

use super::{Place, shipped, succeeds};
use crate::common::outside_program;

/// What the build system has of its own, as far as the recipe uses it. Cargo leaves a file that says how it was called.
const PACKAGE_MK: &str = r#"
INSTALL_DIR:=install -d -m0755
INSTALL_BIN:=install -m0755
INSTALL_CONF:=install -m0600
LN:=ln -sf
define BuildPackage
install-$(1): compile
$(call Package/$(1)/install,$(TOPDIR)/root-$(1))
endef
compile:
	mkdir -p $(PKG_INSTALL_DIR)/bin
	$(Build/Compile)
"#;
const RUST_MK: &str = r#"
define Build/Compile/Cargo
	test ! -e $(PKG_INSTALL_DIR)/bin/fetchlogs
	echo "cargo install --locked --root $(PKG_INSTALL_DIR) --path $(PKG_BUILD_DIR)/$(strip $(1)) $(2)" >$(PKG_INSTALL_DIR)/bin/fetchlogs
endef
"#;

#[test]
fn the_recipe_makes_two_packages_each_with_one_program() {
    let Some(make) = outside_program("make") else {
        return;
    };
    let place = Place::new();
    place.write("rules.mk", "");
    place.write("include/package.mk", PACKAGE_MK);
    place.write("feed/lang/rust/rust-package.mk", RUST_MK);
    let mut copy = Command::new("cp");
    fs::create_dir_all(place.path("feed/admin")).unwrap();
    copy.arg("-R")
        .arg(shipped("openwrt"))
        .arg(place.path("feed/admin/fetchlogs"));
    succeeds(copy);
    fs::create_dir_all(place.path("build/conf")).unwrap();
    fs::copy(
        shipped("gen_numbers-init"),
        place.path("build/conf/gen_numbers-init"),
    )
    .unwrap();
    let path = |name: &str| place.path(name).display().to_string();
    let mut command = Command::new(make);
    command
        .current_dir(place.path("feed/admin/fetchlogs"))
        .args(["install-fetchlogs-server", "install-fetchlogs-collector"])
        .arg(format!("TOPDIR={}", path("")))
        .arg(format!("INCLUDE_DIR={}", path("include")))
        .arg(format!("PKG_BUILD_DIR={}", path("build")))
        .arg(format!("PKG_INSTALL_DIR={}", path("installed")));
    succeeds(command);
    for (package, program, others) in [
        ("server", "gen_numbers", &["usr/sbin/gen_numbers-init"][..]),
        ("collector", "fetch_logs", &["usr/sbin/snmp_from_file"]),
    ] {
        let file = |name: &str| format!("root-fetchlogs-{package}/{name}");
        let called = place.read(&file(&format!("usr/sbin/{program}")));
        assert!(
            called
                .trim_end()
                .ends_with(&format!(" --no-default-features --features {program}")),
            "{called}"
        );
        // The feed has it already, and cargo takes it once.
        assert_eq!(called.matches("--locked").count(), 1, "{called}");
        let mut names = vec![
            format!("etc/config/{program}"),
            format!("etc/init.d/{program}"),
        ];
        names.extend(others.iter().map(|&name| name.to_owned()));
        for name in &names {
            assert!(place.path(&file(name)).exists(), "{name}");
        }
        let mut find = Command::new("find");
        find.arg(place.path(&file(""))).args(["!", "-type", "d"]);
        assert_eq!(succeeds(find).stdout.lines().count(), names.len() + 1);
    }
}
