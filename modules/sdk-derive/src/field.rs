//! One field: which column it is, and how it is read.

use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt;
use syn::{Error, Ident, LitStr, Result};

pub(crate) struct Field<'a> {
    name: &'a Ident,
    column: String,
    from: From,
}

/// Where a field comes from.
#[derive(Clone, Copy, PartialEq)]
enum From {
    Column,
    ColumnOrDefault,
    /// Several columns, by the type of the field.
    Row,
    Default,
}

impl<'a> Field<'a> {
    pub(crate) fn read(field: &'a syn::Field) -> Result<Self> {
        let name = field.ident.as_ref().ok_or_else(|| Error::new_spanned(field, "a field with a name expected"))?;
        let mut this = Self { name, column: name.unraw().to_string(), from: From::Column };
        let mut renamed = false;
        for attribute in field.attrs.iter().filter(|attribute| attribute.path().is_ident("row")) {
            attribute.parse_nested_meta(|meta| {
                let from = match meta.path.get_ident().map(Ident::to_string).as_deref() {
                    Some("rename") => {
                        this.column = meta.value()?.parse::<LitStr>()?.value();
                        renamed = true;
                        return Ok(());
                    }
                    Some("default") => From::ColumnOrDefault,
                    Some("flatten") => From::Row,
                    Some("skip") => From::Default,
                    _ => return Err(meta.error("`rename = \"column\"`, `default`, `flatten` or `skip` expected")),
                };
                if this.from != From::Column {
                    return Err(meta.error("only one of `default`, `flatten` and `skip` makes sense"));
                }
                this.from = from;
                Ok(())
            })?;
        }
        if renamed && !this.is_column() {
            return Err(Error::new_spanned(field, "a field that is no column has no name to change"));
        }
        Ok(this)
    }

    pub(crate) fn is_column(&self) -> bool {
        matches!(self.from, From::Column | From::ColumnOrDefault)
    }

    /// `field: how to read it`, where `at` is the column's likely place.
    pub(crate) fn expression(&self, at: usize) -> TokenStream {
        let Self { name, column, from } = self;
        match from {
            From::Column => quote!(#name: row.get_near(#at, #column)?),
            From::ColumnOrDefault => {
                let read = quote!(row.get_near::<::core::option::Option<_>>(#at, #column)?);
                quote!(#name: #read.unwrap_or_default())
            }
            From::Row => quote!(#name: ::nearside_sdk::sql::FromRow::from_row(row)?),
            From::Default => quote!(#name: ::core::default::Default::default()),
        }
    }
}
