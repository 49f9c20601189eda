//! Holds answers of the running server against `openapi.yaml`, so that the file and the server cannot drift apart.
//!
//! An answer passes when its operation, status and media type are declared and its JSON is valid against the schema
//! (JSON Schema 2020-12, as OpenAPI 3.1 has it, formats included). What the file does not declare is a failure,
//! never a pass. The file's own `$ref`s are followed inside the document only.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};

use giaidap::store::Json;
use jsonschema::{Draft, Registry, Validator};
use serde_json::{Value, json};
use unicode_normalization::UnicodeNormalization;

/// Where the document is registered; never fetched.
const DOCUMENT: &str = "https://contract.test/openapi.yaml";
const METHODS: [&str; 8] = [
    "get", "put", "post", "delete", "options", "head", "patch", "trace",
];
/// Enough to find the fault; a wrong list would otherwise repeat it for every item.
const SHOWN_ERRORS: usize = 5;

/// A loaded OpenAPI document.
pub struct Contract {
    document: Value,
    registry: Registry<'static>,
    operations: Vec<Operation>,
    /// By the JSON pointer of the schema: compiling one costs far more than a check.
    validators: Mutex<HashMap<String, Arc<Validator>>>,
}

struct Operation {
    method: String,
    /// With the base path of the server.
    path: String,
    operation_id: String,
    pointer: String,
}

/// Headers of one connection, of how bytes are carried over it, and of what a description says in another place (the
/// media type) or may not say at all (Fetch). Every other one must be declared.
const OF_THE_CARRIAGE: [&str; 7] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "date",
    "keep-alive",
    "transfer-encoding",
];

/// Between a browser or a cache and the server, whatever was asked: what is compressed, who may read it from a page.
fn is_of_the_carriage(name: &str, value: &str) -> bool {
    let varies = |by: &str| {
        let by = by.trim().to_ascii_lowercase();
        ["accept-encoding", "origin"].contains(&by.as_str()) || by.starts_with("access-control-")
    };
    OF_THE_CARRIAGE.contains(&name)
        || name.starts_with("access-control-")
        || (name == "vary" && value.split(',').all(varies))
}

impl Contract {
    /// The project's contract, read once per process.
    pub fn global() -> &'static Self {
        static CONTRACT: OnceLock<Contract> = OnceLock::new();
        CONTRACT.get_or_init(|| {
            let file = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.yaml");
            let yaml = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{file}: {error}"));
            Self::parse(&yaml).unwrap_or_else(|error| panic!("openapi.yaml: {error}"))
        })
    }

    pub fn parse(yaml: &str) -> Result<Self, String> {
        let document: Value = serde_saphyr::from_str(yaml).map_err(|error| error.to_string())?;
        let registry = Registry::new()
            .draft(Draft::Draft202012)
            .add(DOCUMENT, document.clone())
            .and_then(|registry| registry.prepare())
            .map_err(|error| error.to_string())?;
        let operations = operations_in(&document)?;
        Ok(Self {
            document,
            registry,
            operations,
            validators: Mutex::default(),
        })
    }

    /// Every operation of the file: method in capitals, path template, operationId.
    pub fn operations(&self) -> Vec<(String, String, String)> {
        let triple = |o: &Operation| (o.method.clone(), o.path.clone(), o.operation_id.clone());
        self.operations.iter().map(triple).collect()
    }

    /// Is the path in the file, with whatever method?
    pub fn knows(&self, path: &str) -> bool {
        ["GET", "POST", "PUT", "PATCH", "DELETE"]
            .iter()
            .any(|method| self.has(method, path))
    }

    pub fn has(&self, method: &str, path: &str) -> bool {
        self.operation(method, path).is_ok()
    }

    /// Is this answer one that the contract promises? The path may carry a query, which is ignored.
    pub fn check(
        &self,
        method: &str,
        path: &str,
        status: u16,
        content_type: Option<&str>,
        body: &[u8],
    ) -> Result<(), String> {
        let (operation, pointer, response) = self.response(method, path, status)?;
        let said = |what: String| format!("{} answered {status}: {what}", operation.operation_id);
        // RFC 9110: an answer to HEAD has the headers of GET and no body.
        if method.eq_ignore_ascii_case("head") && body.is_empty() {
            return Ok(());
        }
        self.check_content(&pointer, response, content_type, body)
            .map_err(said)
    }

    /// Has this answer the headers that its status requires, are those that are declared as they are declared, and is none
    /// there undeclared?
    pub fn check_headers(
        &self,
        method: &str,
        path: &str,
        status: u16,
        headers: &[(String, String)],
    ) -> Result<(), String> {
        let (operation, pointer, response) = self.response(method, path, status)?;
        let said = |what: String| format!("{} answered {status}: {what}", operation.operation_id);
        let declared = response.get("headers").and_then(Value::as_object);
        for name in declared.into_iter().flat_map(|declared| declared.keys()) {
            let (header, definition) =
                follow(&self.document, &format!("{pointer}/headers/{}", escape(name)))?;
            let given = headers.iter().find(|(given, _)| given.eq_ignore_ascii_case(name));
            match given {
                Some((_, value)) => self
                    .check_header(&format!("{header}/schema"), value)
                    .map_err(|breach| said(format!("{name}: {breach}")))?,
                None if definition.get("required") == Some(&Value::Bool(true)) => {
                    return Err(said(format!("no {name}")));
                }
                None => {}
            }
        }
        let is_declared = |name: &str| {
            let mut names = declared.into_iter().flat_map(|declared| declared.keys());
            names.any(|declared| declared.eq_ignore_ascii_case(name))
        };
        let undeclared = headers
            .iter()
            .map(|(name, value)| (name.to_ascii_lowercase(), value))
            .find(|(name, value)| !is_of_the_carriage(name, value) && !is_declared(name));
        match undeclared {
            Some((name, _)) => Err(said(format!("with the header {name}, which is not declared"))),
            None => Ok(()),
        }
    }

    /// The names of the headers and parameters that an operation declares to take.
    pub fn parameters(&self, method: &str, path: &str) -> Result<Vec<String>, String> {
        let pointer = format!("{}/parameters", self.operation(method, path)?.pointer);
        let count = self
            .document
            .pointer(&pointer)
            .and_then(Value::as_array)
            .map_or(0, Vec::len);
        (0..count)
            .map(|at| {
                let (_, parameter) = follow(&self.document, &format!("{pointer}/{at}"))?;
                Ok(parameter["name"].as_str().unwrap_or_default().to_owned())
            })
            .collect()
    }

    /// The parameters that an operation takes in its query; their schemas are followed.
    pub fn queries(&self, method: &str, path: &str) -> Vec<Value> {
        let pointer = format!("{}/parameters", self.operation(method, path).unwrap().pointer);
        let declared = self.document.pointer(&pointer).and_then(Value::as_array);
        (0..declared.map_or(0, Vec::len))
            .map(|at| follow(&self.document, &format!("{pointer}/{at}")).unwrap())
            .filter(|(_, parameter)| parameter["in"] == "query")
            .map(|(place, parameter)| {
                let mut parameter = parameter.clone();
                parameter["schema"] = self.followed(&format!("{place}/schema"));
                if parameter["schema"]["items"].is_object() {
                    let (schema, _) = follow(&self.document, &format!("{place}/schema")).unwrap();
                    parameter["schema"]["items"] = self.followed(&format!("{schema}/items"));
                }
                parameter
            })
            .collect()
    }

    fn followed(&self, pointer: &str) -> Value {
        follow(&self.document, pointer).unwrap().1.clone()
    }

    /// The statuses that an operation declares.
    pub fn statuses(&self, method: &str, path: &str) -> Result<Vec<String>, String> {
        let pointer = format!("{}/responses", self.operation(method, path)?.pointer);
        let (_, responses) = follow(&self.document, &pointer)?;
        let names = responses.as_object().into_iter().flatten();
        Ok(names.map(|(name, _)| name.clone()).collect())
    }

    /// A header is text; where its schema wants a number, the text must be one (RFC 9110, section 5.5).
    fn check_header(&self, schema: &str, value: &str) -> Result<(), String> {
        let kind = self.document.pointer(&format!("{schema}/type"));
        let instance = match kind.and_then(Value::as_str) {
            Some("integer" | "number") => {
                serde_json::from_str(value).map_err(|cause| format!("{value} is no number: {cause}"))?
            }
            _ => Value::from(value),
        };
        match self.validator(schema)?.validate(&instance) {
            Ok(()) => Ok(()),
            Err(fault) => Err(fault.to_string()),
        }
    }

    /// What is declared for this status of the operation, else for `default`, and where.
    fn response(
        &self,
        method: &str,
        path: &str,
        status: u16,
    ) -> Result<(&Operation, String, &Value), String> {
        let operation = self.operation(method, path)?;
        let responses = follow(&self.document, &format!("{}/responses", operation.pointer))?.1;
        let exact = status.to_string();
        let declared = match responses.get(&exact) {
            Some(_) => exact.as_str(),
            None => "default",
        };
        if responses.get(declared).is_none() {
            return Err(format!(
                "{} answered {status}: status not declared",
                operation.operation_id
            ));
        }
        let (pointer, response) = follow(
            &self.document,
            &format!("{}/responses/{declared}", operation.pointer),
        )?;
        Ok((operation, pointer, response))
    }

    /// Is this request one that the contract allows?
    pub fn check_request(
        &self,
        method: &str,
        path: &str,
        content_type: Option<&str>,
        body: &[u8],
    ) -> Result<(), String> {
        let operation = self.operation(method, path)?;
        let said = |what: String| format!("request to {}: {what}", operation.operation_id);
        let pointer = format!("{}/requestBody", operation.pointer);
        if self.document.pointer(&pointer).is_none() {
            return if body.is_empty() {
                Ok(())
            } else {
                Err(said("no body declared".to_owned()))
            };
        }
        let (pointer, request) = follow(&self.document, &pointer)?;
        if body.is_empty() && request.get("required") != Some(&Value::Bool(true)) {
            return Ok(());
        }
        // The file says both under "Requests": any JSON type is read as JSON, and lengths count what is stored.
        let is_declared = |name: &str| request.pointer(&format!("/content/{}", escape(name))).is_some();
        let content_type = match content_type {
            Some(other) if other.ends_with("+json") && !is_declared(other) => Some("application/json"),
            named => named,
        };
        let stored = match serde_json::from_slice(body) {
            Ok(Json(value)) => as_stored(value).to_string().into_bytes(),
            Err(_) => body.to_vec(),
        };
        self.check_content(&pointer, request, content_type, &stored)
            .map_err(said)
    }

    /// The operation whose template matches; literal segments win over parameters, from left to right.
    fn operation(&self, method: &str, path: &str) -> Result<&Operation, String> {
        let path = path.split_once('?').map_or(path, |(path, _)| path);
        let templates = self
            .operations
            .iter()
            .filter(|operation| matches(&operation.path, path));
        let literals = |o: &Operation| o.path.split('/').map(|s| !s.contains('{')).collect::<Vec<_>>();
        let template = templates
            .max_by_key(|operation| literals(operation))
            .map(|operation| operation.path.as_str())
            .ok_or_else(|| format!("{path}: path not declared"))?;
        let with_method = |method: &str| {
            self.operations
                .iter()
                .find(|o| o.path == template && o.method.eq_ignore_ascii_case(method))
        };
        // RFC 9110: HEAD comes with GET, and need not be written down beside it.
        with_method(method)
            .or_else(|| with_method("GET").filter(|_| method.eq_ignore_ascii_case("head")))
            .ok_or_else(|| format!("{method} {template}: operation not declared"))
    }

    fn check_content(
        &self,
        pointer: &str,
        holder: &Value,
        content_type: Option<&str>,
        body: &[u8],
    ) -> Result<(), String> {
        let declared = holder
            .get("content")
            .and_then(Value::as_object)
            .filter(|content| !content.is_empty());
        let Some(declared) = declared else {
            return if body.is_empty() {
                Ok(())
            } else {
                Err("a body where none is declared".to_owned())
            };
        };
        let content_type = content_type.ok_or("no Content-Type")?;
        let essence = content_type
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase();
        let media_type = declared
            .keys()
            .find(|key| {
                key.split(';')
                    .next()
                    .is_some_and(|key| key.trim().eq_ignore_ascii_case(&essence))
            })
            .ok_or_else(|| format!("media type {essence} not declared"))?;
        if essence != "application/json" && !essence.ends_with("+json") {
            return Ok(());
        }
        let Json(instance) =
            serde_json::from_slice(body).map_err(|error| format!("body is not JSON: {error}"))?;
        let schema = format!("{pointer}/content/{}/schema", escape(media_type));
        if self.document.pointer(&schema).is_none() {
            return Err(format!("{media_type} has no schema"));
        }
        let validator = self.validator(&schema)?;
        let mut faults = validator
            .iter_errors(&instance)
            .map(|e| format!("{}: {e}", e.instance_path()));
        let mut shown: Vec<String> = faults.by_ref().take(SHOWN_ERRORS).collect();
        if shown.is_empty() {
            return Ok(());
        }
        let more = faults.count();
        if more > 0 {
            shown.push(format!("and {more} more"));
        }
        Err(format!("{}\nin {instance}", shown.join("\n")))
    }

    fn validator(&self, pointer: &str) -> Result<Arc<Validator>, String> {
        if let Some(validator) = self.validators.lock().unwrap().get(pointer) {
            return Ok(Arc::clone(validator));
        }
        // A JSON pointer in a URI fragment (RFC 6901, section 6).
        let fragment = pointer
            .replace('%', "%25")
            .replace('{', "%7B")
            .replace('}', "%7D");
        let validator = jsonschema::options()
            .with_draft(Draft::Draft202012)
            .with_registry(&self.registry)
            .should_validate_formats(true)
            .build(&json!({ "$ref": format!("{DOCUMENT}#{fragment}") }))
            .map_err(|error| format!("the schema at {pointer}: {error}"))?;
        let validator = Arc::new(validator);
        self.validators
            .lock()
            .unwrap()
            .insert(pointer.to_owned(), Arc::clone(&validator));
        Ok(validator)
    }
}

fn operations_in(document: &Value) -> Result<Vec<Operation>, String> {
    let paths = document
        .get("paths")
        .and_then(Value::as_object)
        .ok_or("no paths")?;
    let mut operations = Vec::new();
    for path in paths.keys() {
        let (pointer, item) = follow(document, &format!("/paths/{}", escape(path)))?;
        let base = base_path(item)
            .or_else(|| base_path(document))
            .unwrap_or_default();
        for method in METHODS {
            let Some(operation) = item.get(method) else {
                continue;
            };
            let operation_id = operation
                .get("operationId")
                .and_then(Value::as_str)
                .ok_or_else(|| format!("{method} {path} has no operationId"))?;
            operations.push(Operation {
                method: method.to_ascii_uppercase(),
                path: format!("{base}{path}"),
                operation_id: operation_id.to_owned(),
                pointer: format!("{pointer}/{method}"),
            });
        }
    }
    Ok(operations)
}

/// Texts as the server keeps them: NFC, lines ended by a line feed, nothing white around them.
fn as_stored(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(text.nfc().collect::<String>().trim().replace("\r\n", "\n")),
        Value::Array(items) => items.into_iter().map(as_stored).collect(),
        Value::Object(members) => members
            .into_iter()
            .map(|(name, member)| (name, as_stored(member)))
            .collect(),
        plain => plain,
    }
}

/// The path of the first server's URL, without a closing slash.
fn base_path(holder: &Value) -> Option<String> {
    let url = holder.pointer("/servers/0/url")?.as_str()?;
    let path = match url.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("", |slash| &rest[slash..]),
        None => url,
    };
    Some(path.trim_end_matches('/').to_owned())
}

/// The value at a pointer and where it really is, once its `$ref`s are followed.
fn follow<'a>(document: &'a Value, pointer: &str) -> Result<(String, &'a Value), String> {
    let mut pointer = pointer.to_owned();
    // More hops than any sane document has; a circle ends here.
    for _ in 0..16 {
        let value = document
            .pointer(&pointer)
            .ok_or_else(|| format!("nothing at #{pointer}"))?;
        let Some(reference) = value.get("$ref").and_then(Value::as_str) else {
            return Ok((pointer, value));
        };
        let target = reference
            .strip_prefix('#')
            .ok_or_else(|| format!("{reference} leaves the document"))?;
        pointer = target.to_owned();
    }
    Err(format!("#{pointer} refers to itself"))
}

fn matches(template: &str, path: &str) -> bool {
    let (mut wanted, mut given) = (template.split('/'), path.split('/'));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return true,
            (Some(wanted), Some(given)) if segment_matches(wanted, given) => {}
            _ => return false,
        }
    }
}

/// A parameter stands for any text that is not empty, also between literals, as in `{code}.ics`.
fn segment_matches(wanted: &str, given: &str) -> bool {
    let (Some(open), Some(close)) = (wanted.find('{'), wanted.rfind('}')) else {
        return wanted == given;
    };
    let (before, after) = (&wanted[..open], &wanted[close + 1..]);
    given
        .strip_prefix(before)
        .and_then(|rest| rest.strip_suffix(after))
        .is_some_and(|value| !value.is_empty())
}

/// One token of a JSON pointer (RFC 6901).
fn escape(token: &str) -> String {
    token.replace('~', "~0").replace('/', "~1")
}
