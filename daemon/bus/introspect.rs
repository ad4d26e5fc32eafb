//! Introspection XML, from the table: what is shipped in `packaging/dbus/interfaces`, and what a live object answers.

use super::table::{Arg, Emits, Interface, Method};
use std::fmt::Write;

const HEADER: &str = "<!DOCTYPE node PUBLIC \"-//freedesktop//DTD D-BUS Object Introspection 1.0//EN\"\n \
    \"http://www.freedesktop.org/standards/dbus/1.0/introspect.dtd\">\n";
/// Above this many bytes a live object leaves the comments out; the shipped files have them.
const LIVE_COMMENTS: usize = 4096;

/// The file to ship for an interface.
pub fn file(interface: &Interface) -> String {
    let mut out = format!("{HEADER}<node>\n");
    write_interface(&mut out, interface, true);
    out.push_str("</node>\n");
    out
}

/// What an object answers: its interfaces and the names of its children.
pub fn object<'a>(
    interfaces: impl IntoIterator<Item = &'a Interface>,
    manager: bool,
    properties: bool,
    children: impl IntoIterator<Item = String>,
) -> String {
    let mut out = format!("{HEADER}<node>\n");
    for interface in interfaces {
        let before = out.len();
        write_interface(&mut out, interface, true);
        if out.len() - before > LIVE_COMMENTS {
            out.truncate(before);
            write_interface(&mut out, interface, false);
        }
    }
    out.push_str(PEER);
    if properties {
        out.push_str(PROPERTIES);
    }
    if manager {
        out.push_str(OBJECT_MANAGER);
    }
    for child in children {
        let _ = writeln!(out, "  <node name=\"{}\"/>", escape(&child));
    }
    out.push_str("</node>\n");
    out
}

fn write_interface(out: &mut String, interface: &Interface, comments: bool) {
    let _ = writeln!(out, "  <interface name=\"{}\">", interface.full_name());
    if comments {
        comment(out, 4, interface.doc);
    }
    for method in interface.methods {
        if comments {
            comment(out, 4, &method_doc(method));
        }
        let _ = writeln!(out, "    <method name=\"{}\">", method.name);
        arguments(out, method.input, Some("in"));
        arguments(out, method.output, Some("out"));
        out.push_str("    </method>\n");
    }
    for property in interface.properties {
        if comments {
            comment(out, 4, property.doc);
        }
        let head = format!("    <property name=\"{}\" type=\"{}\" access=\"read\"", property.name, property.signature);
        out.push_str(&head);
        if property.emits == Emits::True {
            // The default of the specification.
            out.push_str("/>\n");
        } else {
            let _ = writeln!(
                out,
                ">\n      <annotation name=\"org.freedesktop.DBus.Property.EmitsChangedSignal\" value=\"{}\"/>\n    \
                </property>",
                property.emits.word()
            );
        }
    }
    for signal in interface.signals {
        if comments {
            comment(out, 4, signal.doc);
        }
        let _ = writeln!(out, "    <signal name=\"{}\">", signal.name);
        arguments(out, signal.args, None);
        out.push_str("    </signal>\n");
    }
    out.push_str("  </interface>\n");
}

/// Text, action, options and errors of a method.
fn method_doc(method: &Method) -> String {
    let mut doc = method.doc.to_owned();
    let actions: Vec<_> = method.access.actions().iter().map(|a| a.id()).collect();
    if !actions.is_empty() {
        let _ = write!(doc, "\nAction: {}.", actions.join(" or "));
    }
    for option in method.options {
        let _ = write!(doc, "\nOption {} ({}): {}.", option.name, option.signature, option.doc);
    }
    if !method.errors.is_empty() {
        let _ = write!(doc, "\nErrors: {}.", method.errors.join(", "));
    }
    doc
}

fn arguments(out: &mut String, arguments: &[Arg], direction: Option<&str>) {
    for argument in arguments {
        let _ = write!(out, "      <arg name=\"{}\" type=\"{}\"", argument.name, argument.signature);
        if let Some(direction) = direction {
            let _ = write!(out, " direction=\"{direction}\"");
        }
        out.push_str("/>\n");
    }
}

fn comment(out: &mut String, indent: usize, text: &str) {
    let pad = " ".repeat(indent);
    // Two hyphens end a comment in XML.
    let text = text.replace("--", "- -");
    let lines: Vec<_> = text.lines().map(str::trim_end).collect();
    match lines.as_slice() {
        [line] => {
            let _ = writeln!(out, "{pad}<!-- {line} -->");
        }
        lines => {
            let _ = writeln!(out, "{pad}<!--");
            for line in lines {
                let _ = writeln!(out, "{pad}  {line}");
            }
            let _ = writeln!(out, "{pad}-->");
        }
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}

const PEER: &str = r#"  <interface name="org.freedesktop.DBus.Peer">
    <method name="Ping"/>
    <method name="GetMachineId">
      <arg name="machine_uuid" type="s" direction="out"/>
    </method>
  </interface>
  <interface name="org.freedesktop.DBus.Introspectable">
    <method name="Introspect">
      <arg name="xml_data" type="s" direction="out"/>
    </method>
  </interface>
"#;

const PROPERTIES: &str = r#"  <interface name="org.freedesktop.DBus.Properties">
    <method name="Get">
      <arg name="interface_name" type="s" direction="in"/>
      <arg name="property_name" type="s" direction="in"/>
      <arg name="value" type="v" direction="out"/>
    </method>
    <method name="GetAll">
      <arg name="interface_name" type="s" direction="in"/>
      <arg name="properties" type="a{sv}" direction="out"/>
    </method>
    <method name="Set">
      <arg name="interface_name" type="s" direction="in"/>
      <arg name="property_name" type="s" direction="in"/>
      <arg name="value" type="v" direction="in"/>
    </method>
    <signal name="PropertiesChanged">
      <arg name="interface_name" type="s"/>
      <arg name="changed_properties" type="a{sv}"/>
      <arg name="invalidated_properties" type="as"/>
    </signal>
  </interface>
"#;

const OBJECT_MANAGER: &str = r#"  <interface name="org.freedesktop.DBus.ObjectManager">
    <method name="GetManagedObjects">
      <arg name="objects" type="a{oa{sa{sv}}}" direction="out"/>
    </method>
    <signal name="InterfacesAdded">
      <arg name="object" type="o"/>
      <arg name="interfaces" type="a{sa{sv}}"/>
    </signal>
    <signal name="InterfacesRemoved">
      <arg name="object" type="o"/>
      <arg name="interfaces" type="as"/>
    </signal>
  </interface>
"#;
