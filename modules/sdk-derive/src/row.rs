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

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use super::*;

    fn refused(input: &DeriveInput) -> String {
        derive(input).unwrap_err().to_string()
    }

    #[test]
    fn what_is_no_row_is_refused_with_what_to_do() {
        assert_eq!(
            refused(&parse_quote!(
                enum Kind {
                    A,
                }
            )),
            EXPECTED
        );
        assert_eq!(
            refused(&parse_quote!(
                struct Pair(u8, u8);
            )),
            EXPECTED
        );
        assert!(
            refused(&parse_quote!(
                struct Any<T> {
                    value: T,
                }
            ))
            .contains("no type parameters")
        );
        assert!(
            refused(&parse_quote!(
                struct Two<'a, 'b> {
                    a: &'a str,
                    b: &'b str,
                }
            ))
            .contains("one lifetime")
        );
        assert!(
            refused(&parse_quote!(
                struct Row {
                    #[row(renamed = "b")]
                    a: u8,
                }
            ))
            .contains("`rename = \"column\"`")
        );
        assert!(
            refused(&parse_quote!(
                struct Row {
                    #[row(skip, default)]
                    a: u8,
                }
            ))
            .contains("only one of")
        );
        assert!(
            refused(&parse_quote!(
                struct Row {
                    #[row(skip, rename = "b")]
                    a: u8,
                }
            ))
            .contains("no name to change")
        );
    }

    #[test]
    fn a_column_is_looked_for_at_its_place_among_the_columns() {
        let derived = derive(&parse_quote!(
            struct Row {
                #[row(skip)]
                a: u8,
                b: u8,
                #[row(rename = "x")]
                c: u8,
            }
        ));
        let text = derived.unwrap().to_string();
        assert!(text.contains("(0usize , \"b\")") && text.contains("(1usize , \"x\")"), "{text}");
    }
}
