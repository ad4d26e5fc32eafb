//! Which format and which coding a client prefers (RFC 9110, 12.4 and 12.5).

use reeve_core::metrics::text::Format;

/// OpenMetrics where it is preferred, else the text format 0.0.4, whatever was asked for: a page that is not understood
/// tells more than none.
pub(super) fn format(accept: Option<&str>) -> Format {
    let ranges: Vec<Range<'_>> = accept.unwrap_or_default().split(',').filter_map(Range::parse).collect();
    let open = quality(&ranges, "application/openmetrics-text", "1.0.0");
    let text = quality(&ranges, "text/plain", "0.0.4");
    if open.0 > text.0 || (open.0 == text.0 && open.0 > 0.0 && open.1 > text.1) {
        Format::OpenMetrics
    } else {
        Format::Text
    }
}

/// Whether gzip is offered, and not less liked than the plain page.
pub(super) fn gzip(accept_encoding: Option<&str>) -> bool {
    let codings: Vec<Range<'_>> = accept_encoding.unwrap_or_default().split(',').filter_map(Range::parse).collect();
    let of = |name: &str| codings.iter().find(|c| c.name.eq_ignore_ascii_case(name)).map(|c| c.quality);
    let gzip = of("gzip").or_else(|| of("x-gzip")).or_else(|| of("*")).unwrap_or(0.0);
    gzip > 0.0 && gzip >= of("identity").unwrap_or(0.0)
}

/// One element of such a header.
struct Range<'a> {
    name: &'a str,
    version: Option<&'a str>,
    quality: f32,
}

impl<'a> Range<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let name = parts.next().filter(|name| !name.is_empty())?;
        let mut range = Range { name, version: None, quality: 1.0 };
        for part in parts {
            match part.split_once('=').map(|(key, value)| (key.trim(), value.trim().trim_matches('"'))) {
                Some((key, value)) if key.eq_ignore_ascii_case("q") => {
                    range.quality = value.parse().ok().filter(|q| (0.0..=1.0).contains(q)).unwrap_or(0.0);
                }
                Some((key, value)) if key.eq_ignore_ascii_case("version") => range.version = Some(value),
                _ => {}
            }
        }
        Some(range)
    }

    /// How closely it names the type: not at all, `*/*`, `text/*`, itself.
    fn closeness(&self, media: &str, version: &str) -> Option<u8> {
        let group = media.split('/').next().unwrap_or_default();
        match self.name {
            name if name.eq_ignore_ascii_case(media) => self.version.is_none_or(|v| v == version).then_some(2),
            name if name.strip_suffix("/*").is_some_and(|of| of.eq_ignore_ascii_case(group)) => Some(1),
            "*/*" => Some(0),
            _ => None,
        }
    }
}

/// What the closest element says of the type: its quality, and how close it is.
fn quality(ranges: &[Range<'_>], media: &str, version: &str) -> (f32, u8) {
    let close = ranges.iter().filter_map(|range| Some((range.closeness(media, version)?, range.quality)));
    // Of several that are as close the most willing holds.
    let best = close.max_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
    best.map_or((0.0, 0), |(closeness, quality)| (quality, closeness))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// MET-18: OpenMetrics when Accept prefers it, else 0.0.4.
    #[test]
    fn met_18_the_preferred_format_is_written() {
        let prometheus = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
                          application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;q=0.4,\
                          text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        for (accept, expected) in [
            (None, Format::Text),
            (Some(""), Format::Text),
            (Some("*/*"), Format::Text),
            (Some("text/html, application/xhtml+xml, */*;q=0.8"), Format::Text),
            (Some(prometheus), Format::OpenMetrics),
            (Some("application/openmetrics-text"), Format::OpenMetrics),
            (Some("Application/OpenMetrics-Text; Version=1.0.0"), Format::OpenMetrics),
            (Some("application/openmetrics-text; version=\"1.0.0\", */*"), Format::OpenMetrics),
            (Some("application/openmetrics-text;version=0.0.1"), Format::Text),
            (Some("application/openmetrics-text;q=0.2,text/plain;q=0.5"), Format::Text),
            (Some("application/openmetrics-text;q=0"), Format::Text),
            (Some("application/openmetrics-text;q=x"), Format::Text),
            (Some("application/*"), Format::OpenMetrics),
            (Some("application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily"), Format::Text),
        ] {
            assert_eq!(format(accept), expected, "{accept:?}");
        }
    }

    /// MET-18: gzip when it is offered.
    #[test]
    fn met_18_gzip_when_offered() {
        for (header, expected) in [
            (None, false),
            (Some("identity"), false),
            (Some("gzip"), true),
            (Some("deflate, GZIP;q=0.5"), true),
            (Some("gzip;q=0, *"), false),
            (Some("*"), true),
            (Some("identity;q=1, gzip;q=0.5"), false),
            (Some("br;q=1.0, gzip;q=0.8, *;q=0.1"), true),
        ] {
            assert_eq!(gzip(header), expected, "{header:?}");
        }
    }
}
