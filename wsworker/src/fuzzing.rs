//! What the fuzz targets call. Only in their builds: no part of the library.

use ::http::{HeaderMap, HeaderName, HeaderValue, Method, Version};

use crate::protocol::handshake::{self, Asked, Origins};
use crate::wire::model;

/// The reader gives what the model gives, however the bytes are cut.
pub fn reader(data: &[u8]) {
    let [flags, cuts @ .., _] = data else {
        return;
    };
    let (cuts, bytes) = cuts.split_at(cuts.len().min(4));
    let (masked, limit) = (
        flags & 1 == 0,
        [200, 5_000, 1 << 20][usize::from(flags >> 1) % 3],
    );
    let wanted = model::expected(bytes, masked, limit);
    assert_eq!(model::seen(bytes, masked, limit, cuts), wanted);
    assert_eq!(model::seen(bytes, masked, limit, &[]), wanted);
}

/// A request is judged without a panic, and what is accepted is what RFC 6455 asks for.
pub fn handshake(data: &[u8]) {
    let mut lines = data.split(|byte| *byte == b'\n');
    let method = Method::from_bytes(lines.next().unwrap_or_default()).unwrap_or(Method::GET);
    let mut headers = HeaderMap::new();
    for line in lines {
        let colon = line
            .iter()
            .position(|byte| *byte == b':')
            .unwrap_or(line.len());
        let (name, value) = (&line[..colon], line.get(colon + 1..).unwrap_or_default());
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name), HeaderValue::from_bytes(value))
        {
            headers.append(name, value);
        }
    }
    let offered = handshake::offered(&headers);
    if let Ok(accept) = handshake::validate(&method, Version::HTTP_11, &headers) {
        assert_eq!(accept.len(), 28);
        assert!(method == Method::GET && handshake::is_upgrade(&headers));
    }
    if let Ok(offered) = offered {
        let preferred: [Box<str>; 1] = ["chat".into()];
        let chosen = handshake::choose(&preferred, &offered);
        assert_eq!(chosen.is_some(), offered.contains(&"chat"));
    }
    let host = headers.get("host").and_then(|host| host.to_str().ok());
    let _ = Origins::default().check(&headers, host);
    // The same headers as a request's of our own, and as an answer to it.
    if let Ok(asked) = Asked::with_headers(&mut headers.clone()) {
        // Nobody has the key.
        assert!(asked.check(Version::HTTP_11, &headers).is_err());
    }
}

/// Settings from an environment are taken or refused, never more.
pub fn options(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let environment = text.split('\n').filter_map(|line| {
        let (name, value) = line.split_once('=')?;
        Some((format!("WSWORKER_{name}").into(), value.into()))
    });
    crate::server::judge_settings(environment);
}
