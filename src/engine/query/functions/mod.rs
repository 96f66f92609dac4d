//! The functions there are: those of the planner's library whose meaning is PostgreSQL's, and ours.
//!
//! Nothing else can be called: the library has many functions that PostgreSQL does not, and some
//! of the same name that do something else.

pub mod advisory;
pub mod aggregate;
pub mod array;
pub mod array_elements;
pub mod array_order;
pub mod array_sets;
pub mod array_subscripts;
pub mod auth_variable;
pub mod binary;
pub mod blanks;
pub mod definition;
mod divisors;
pub mod enumeration;
pub mod float;
mod format;
pub mod group_condition;
mod group_totals;
mod hashing;
mod interval_total;
pub mod json;
pub mod keywords;
pub mod label;
pub mod math;
mod moments;
pub mod names;
pub mod negative;
mod null_counts;
mod number_sum;
pub mod numeric;
pub mod numeric_math;
pub mod one_type;
mod ordered_arrays;
pub mod ordered_sets;
mod overloaded;
pub mod peers;
pub mod postgresql;
pub mod quantified;
mod ranks;
pub mod recursion;
pub mod regular;
pub mod row;
pub mod sequence;
pub mod session;
pub mod set_returning;
pub mod sliding;
pub mod spread;
mod template;
pub mod text;
pub mod time;
mod typed_aggregate;
pub mod uuids;
pub mod zones;

use datafusion::functions_aggregate::all_default_aggregate_functions;
use datafusion::functions_window::all_default_window_functions;
use datafusion::logical_expr::{AggregateUDF, ScalarUDF, WindowUDF};
use std::collections::HashMap;
use std::sync::Arc;

/// Library functions kept as they are.
const LIBRARY: &[&str] = &[
    // Conditional expressions
    "coalesce",
    "nullif",
    "greatest",
    "least",
    // Strings
    "ascii",
    "bit_length",
    "btrim",
    "character_length",
    "left",
    "lpad",
    "ltrim",
    "octet_length",
    "overlay",
    "replace",
    "reverse",
    "right",
    "rpad",
    "rtrim",
    "split_part",
    "starts_with",
    "strpos",
    "substr",
    "translate",
    "md5",
    "sha256",
    "sha512",
    "sha224",
    "sha384",
    // Mathematics
    "asinh",
    "atan",
    "atan2",
    "cbrt",
    "cos",
    "cosh",
    "cot",
    "degrees",
    "gcd",
    "lcm",
    "pi",
    "radians",
    "random",
    "sin",
    "sinh",
    "tan",
    "tanh",
    // Arrays
    "array_has",
    "array_has_all",
    "array_has_any",
    "make_array",
    "string_to_array",
    // What the planner itself puts into plans
    "get_field",
    "named_struct",
    "struct",
    "arrow_cast",
];

/// PostgreSQL's names of library functions that have another one.
const SYNONYMS: &[(&str, &str)] = &[
    ("length", "character_length"),
    ("char_length", "character_length"),
    ("position", "strpos"),
    ("trim", "btrim"),
    ("substring", "substr"),
];

/// Aggregates, ours among them.
pub const AGGREGATES: &[&str] = &[
    "array_agg",
    "avg",
    "bit_and",
    "bit_or",
    "bit_xor",
    "bool_and",
    "bool_or",
    "corr",
    "count",
    "covar_pop",
    "covar_samp",
    "every",
    "first_value",
    "grouping",
    "json_agg",
    json::record::JSON_AGG,
    "json_object_agg",
    "jsonb_agg",
    "jsonb_object_agg",
    "max",
    "min",
    "regr_avgx",
    "regr_avgy",
    "regr_count",
    "regr_intercept",
    "regr_r2",
    "regr_slope",
    "regr_sxx",
    "regr_sxy",
    "regr_syy",
    "single_value",
    "stddev",
    "stddev_pop",
    "stddev_samp",
    "string_agg",
    "sum",
    "var_pop",
    "var_samp",
    "variance",
];

/// What the library calls aggregates that PostgreSQL calls otherwise.
const AGGREGATE_SYNONYMS: &[(&str, &str)] = &[("every", "bool_and")];

/// Everything that can be called.
pub struct Functions {
    /// Scalar functions by name.
    pub scalar: HashMap<String, Arc<ScalarUDF>>,
    /// Aggregates by name.
    pub aggregate: HashMap<String, Arc<AggregateUDF>>,
    /// Window functions by name.
    pub window: HashMap<String, Arc<WindowUDF>>,
}

impl Functions {
    /// Collects them.
    pub fn new() -> Functions {
        Functions {
            scalar: scalar(),
            aggregate: aggregates(),
            window: all_default_window_functions()
                .into_iter()
                .map(|function| (function.name().to_owned(), ranks::typed(function)))
                .collect(),
        }
    }
}

impl Default for Functions {
    fn default() -> Self {
        Functions::new()
    }
}

fn scalar() -> HashMap<String, Arc<ScalarUDF>> {
    let library: Vec<_> = datafusion::functions::all_default_functions()
        .into_iter()
        .chain(datafusion::functions_nested::all_default_nested_functions())
        .collect();
    let find = |name: &str| {
        library
            .iter()
            .find(|function| {
                function.name() == name || function.aliases().iter().any(|alias| alias == name)
            })
            .cloned()
    };
    let mut found = HashMap::new();
    for name in LIBRARY {
        if let Some(function) = find(name) {
            found.insert(
                (*name).to_owned(),
                divisors::replace(one_type::replace(&function)),
            );
        }
    }
    for (name, library_name) in SYNONYMS {
        if let Some(function) = find(library_name) {
            found.insert((*name).to_owned(), function);
        }
    }
    let own = [
        advisory::functions(),
        array::functions(),
        array_elements::functions(),
        array_subscripts::functions(),
        binary::functions(),
        enumeration::functions(),
        float::functions(),
        format::functions(),
        hashing::functions(),
        null_counts::functions(),
        math::functions(),
        negative::functions(),
        quantified::functions(),
        moments::functions(),
        regular::functions(),
        template::functions(),
        json::functions(),
        group_condition::functions(),
        keywords::functions(),
        numeric::functions(),
        numeric_math::functions(),
        ordered_sets::functions(),
        peers::functions(),
        recursion::marks(),
        sequence::functions(),
        session::functions(),
        set_returning::functions(),
        text::functions(),
        time::functions(),
        uuids::functions(),
        zones::functions(),
        crate::engine::pg_catalog::functions::functions(),
    ];
    let written = [super::cast::Written::function(), row::function()];
    for function in own.into_iter().flatten().chain(written) {
        found.insert(function.name().to_owned(), function);
    }
    for of_bytea in binary::overloads() {
        if let Some(of_text) = found.remove(of_bytea.name()) {
            let of_pattern = (of_bytea.name() == "substring").then(regular::substring);
            let both = overloaded::Overloaded::function(of_text, of_bytea, of_pattern);
            found.insert(both.name().to_owned(), both);
        }
    }
    found
}

fn aggregates() -> HashMap<String, Arc<AggregateUDF>> {
    let library = all_default_aggregate_functions();
    let find = |name: &str| {
        library
            .iter()
            .find(|function| function.name() == name)
            .cloned()
    };
    let mut found = HashMap::new();
    for name in AGGREGATES {
        let library_name = AGGREGATE_SYNONYMS
            .iter()
            .find(|(synonym, _)| synonym == name)
            .map_or(*name, |(_, library_name)| library_name);
        if let Some(function) = find(library_name) {
            found.insert((*name).to_owned(), typed_aggregate::typed(function));
        }
    }
    for function in aggregate::functions()
        .into_iter()
        .chain(spread::functions())
        .chain(json::aggregates())
    {
        found.insert(function.name().to_owned(), function);
    }
    found
}
