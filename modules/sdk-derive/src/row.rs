//! The implementation that is written for a struct.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Error, Fields, GenericParam, Lifetime, Result};

use crate::field::Field;

const EXPECTED: &str = "derive(Row) takes a struct with named fields, such as `struct Package { name: String }`";

pub(crate) fn derive(input: &DeriveInput) -> Result<TokenStream> {
    let Data::Struct(data) = &input.data else { return Err(Error::new_spanned(&input.ident, EXPECTED)) };
    let Fields::Named(named) = &data.fields else { return Err(Error::new_spanned(&input.ident, EXPECTED)) };
    let fields = named.named.iter().map(Field::read).collect::<Result<Vec<_>>>()?;

    let borrowed = borrowed(input)?;
    let lifetime = borrowed.clone().unwrap_or_else(|| Lifetime::new("'row", proc_macro2::Span::call_site()));
    let arguments = borrowed.map(|lifetime| quote!(<#lifetime>));
    let name = &input.ident;
    // Columns mostly stand in the order of the fields: each is looked for there first.
    let mut at = 0;
    let reads = fields.iter().map(|field| {
        let read = field.expression(at);
        at += usize::from(field.is_column());
        read
    });
    Ok(quote! {
        impl<#lifetime> ::nearside_sdk::sql::FromRow<#lifetime> for #name #arguments {
            fn from_row(
                row: ::nearside_sdk::sql::Row<#lifetime>,
            ) -> ::core::result::Result<Self, ::nearside_sdk::sql::Error> {
                ::core::result::Result::Ok(Self { #(#reads),* })
            }
        }
    })
}

/// The one lifetime a struct may have: what it borrows from the rows.
fn borrowed(input: &DeriveInput) -> Result<Option<Lifetime>> {
    let mut parameters = input.generics.params.iter();
    let lifetime = match parameters.next() {
        None => None,
        Some(GenericParam::Lifetime(parameter)) => Some(parameter.lifetime.clone()),
        Some(other) => return Err(Error::new_spanned(other, "derive(Row) takes no type parameters")),
    };
    match parameters.next() {
        None => Ok(lifetime),
        Some(more) => Err(Error::new_spanned(more, "derive(Row) takes one lifetime at most: that of the rows")),
    }
}
