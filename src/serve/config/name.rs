//! The names of the settings.

/// The settings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Name {
    Hash(Hash),
    Scalar(Scalar),
}

// Both as wide as a word: what is handed on with them has no gaps, which are copied byte by byte.
/// The settings that are hashes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Hash {
    /// `%hosts_allow`
    HostsAllow,
    /// `%files`
    Files,
    /// `%series`
    Series,
    /// `%keys_allow`
    KeysAllow,
}

/// The settings with one value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Scalar {
    /// `$bind_addr`
    BindAddr,
    /// `$bind_port`
    BindPort,
    /// `$delay_check`
    DelayCheck,
    /// `$timeout_write`
    TimeoutWrite,
    /// `$alive_interval`
    AliveInterval,
    /// `$grace`
    Grace,
    /// `$max_clients`
    MaxClients,
    /// `$max_clients_per_ip`
    MaxClientsPerIp,
    /// `$keep_deleted`
    KeepDeleted,
    /// `$private_key_file`
    PrivateKeyFile,
    /// `$require_key`
    RequireKey,
}

impl Name {
    /// The setting called so, if there is one.
    pub(super) fn from_word(word: &[u8]) -> Option<Name> {
        // In Perl `%files` and `$files` are two variables; here no name is both, so the sigil is
        // checked later.
        let hash = Hash::ALL
            .into_iter()
            .find(|hash| hash.name().as_bytes() == word);
        let scalar = Scalar::ALL
            .into_iter()
            .find(|scalar| scalar.name().as_bytes() == word);
        hash.map(Name::Hash).or(scalar.map(Name::Scalar))
    }
}

impl Hash {
    /// All of them.
    pub const ALL: [Hash; 4] = [Hash::HostsAllow, Hash::Files, Hash::Series, Hash::KeysAllow];

    /// The name without its `%`.
    pub fn name(self) -> &'static str {
        match self {
            Hash::HostsAllow => "hosts_allow",
            Hash::Files => "files",
            Hash::Series => "series",
            Hash::KeysAllow => "keys_allow",
        }
    }
}

impl Scalar {
    /// All of them.
    pub const ALL: [Scalar; 11] = [
        Scalar::BindAddr,
        Scalar::BindPort,
        Scalar::DelayCheck,
        Scalar::TimeoutWrite,
        Scalar::AliveInterval,
        Scalar::Grace,
        Scalar::MaxClients,
        Scalar::MaxClientsPerIp,
        Scalar::KeepDeleted,
        Scalar::PrivateKeyFile,
        Scalar::RequireKey,
    ];

    /// The name without its `$`.
    pub fn name(self) -> &'static str {
        match self {
            Scalar::BindAddr => "bind_addr",
            Scalar::BindPort => "bind_port",
            Scalar::DelayCheck => "delay_check",
            Scalar::TimeoutWrite => "timeout_write",
            Scalar::AliveInterval => "alive_interval",
            Scalar::Grace => "grace",
            Scalar::MaxClients => "max_clients",
            Scalar::MaxClientsPerIp => "max_clients_per_ip",
            Scalar::KeepDeleted => "keep_deleted",
            Scalar::PrivateKeyFile => "private_key_file",
            Scalar::RequireKey => "require_key",
        }
    }
}
