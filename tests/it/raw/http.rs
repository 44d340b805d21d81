//! HTTP as the raw client speaks it: a head to be changed, a response to be checked.
//! Does not read or write.

use super::{ACCEPT, KEY};

/// A request's head, valid until a test changes it.
#[derive(Clone)]
pub struct Head {
    line: String,
    headers: Vec<(String, String)>,
}

impl Head {
    pub fn get(path: &str, host: &str) -> Head {
        Head {
            line: format!("GET {path} HTTP/1.1"),
            headers: vec![("Host".into(), host.into())],
        }
    }

    pub fn post(path: &str, host: &str) -> Head {
        Head::get(path, host).line(&format!("POST {path} HTTP/1.1"))
    }

    pub fn upgrade(path: &str, host: &str) -> Head {
        Head::get(path, host)
            .with("Upgrade", "websocket")
            .with("Connection", "Upgrade")
            .with("Sec-WebSocket-Key", KEY)
            .with("Sec-WebSocket-Version", "13")
    }

    pub fn line(mut self, line: &str) -> Head {
        self.line = line.into();
        self
    }

    pub fn with(mut self, name: &str, value: &str) -> Head {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub fn without(mut self, name: &str) -> Head {
        self.headers.retain(|(n, _)| n != name);
        self
    }

    pub fn replace(mut self, name: &str, value: &str) -> Head {
        for header in &mut self.headers {
            if header.0 == name {
                header.1 = value.into();
            }
        }
        self
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut text = format!("{}\r\n", self.line);
        for (name, value) in &self.headers {
            text += &format!("{name}: {value}\r\n");
        }
        text += "\r\n";
        text.into_bytes()
    }
}

#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Response {
    pub(super) fn parse(head: &str) -> Response {
        let mut lines = head.split("\r\n");
        let status_line = lines.next().unwrap();
        let mut words = status_line.splitn(3, ' ');
        assert_eq!(words.next(), Some("HTTP/1.1"), "{status_line:?}");
        let status = words.next().and_then(|s| s.parse().ok());
        let status = status.unwrap_or_else(|| panic!("no status in {status_line:?}"));
        let headers = lines.take_while(|line| !line.is_empty()).map(|line| {
            let (name, value) = line.split_once(':').expect("a header has a colon");
            (name.to_ascii_lowercase(), value.trim().to_owned())
        });
        Response {
            status,
            headers: headers.collect(),
            body: Vec::new(),
        }
    }

    /// The header's value; a failure if it is there twice.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(n, _)| n == name);
        let value = values.next().map(|(_, v)| v.as_str());
        assert!(values.next().is_none(), "{name} is there twice: {self:?}");
        value
    }

    pub fn has_token(&self, name: &str, token: &str) -> bool {
        let value = self.header(name).unwrap_or_default();
        value
            .split(',')
            .any(|t| t.trim().eq_ignore_ascii_case(token))
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is UTF-8")
    }

    /// RFC 6455 §4.2.2.
    pub fn assert_upgraded(&self) {
        assert_eq!(self.status, 101, "{self:?}: {}", self.text());
        assert!(self.has_token("upgrade", "websocket"), "{self:?}");
        assert!(self.has_token("connection", "upgrade"), "{self:?}");
        assert_eq!(self.header("sec-websocket-accept"), Some(ACCEPT));
        assert_eq!(self.header("content-length"), None, "RFC 9110 §8.6");
        assert_eq!(self.header("transfer-encoding"), None, "RFC 9112 §6.1");
    }
}
