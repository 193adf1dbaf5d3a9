//! Makes an event of any kind out of a number, for golden files and property tests: a deserializer that invents what it is asked for.

use serde::de::value::{Error, StrDeserializer};
use serde::de::{self, DeserializeSeed, IntoDeserializer, SeqAccess, VariantAccess, Visitor};
use serde::{Deserialize, forward_to_deserialize_any};

use crate::domain::event::{BodyReader, Event};

/// Returns an event of `kind`; different seeds give different ones, and `0..variants(kind)` meet every variant of its enums.
pub(crate) fn sample(kind: u16, seed: u64) -> Event {
    invent(kind, seed).0
}

/// Returns how many variants the widest enum in `kind` has; at least 2, so that options are met both ways.
pub(crate) fn variants(kind: u16) -> u64 {
    invent(kind, 0).1.max(2)
}

fn invent(kind: u16, seed: u64) -> (Event, u64) {
    let widest = std::cell::Cell::new(0);
    let part = |offset| Inventor { seed, drawn: offset, widest: &widest };
    let event = Event::read(kind, part(0), Some(part(1000))).expect("a known kind").expect("every body can be invented");
    (event, widest.get())
}

struct Inventor<'a> {
    seed: u64,
    drawn: u64,
    widest: &'a std::cell::Cell<u64>,
}

impl Inventor<'_> {
    fn draw(&mut self) -> u64 {
        self.drawn += 1;
        // splitmix64: small, and the same on every machine.
        let mut x = (self.seed ^ self.drawn << 32).wrapping_add(0x9e37_79b9_7f4a_7c15);
        x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ x >> 31
    }

    fn choose(&mut self, of: u64) -> u64 {
        self.drawn += 1;
        self.seed.wrapping_add(self.drawn) % of
    }
}

impl BodyReader for Inventor<'_> {
    type Error = Error;

    fn read<T: for<'de> Deserialize<'de>>(mut self) -> Result<T, Error> {
        T::deserialize(&mut self)
    }
}

macro_rules! numbers {
    ($($method:ident => $visit:ident as $type:ty,)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            visitor.$visit(self.draw() as $type)
        }
    )*};
}

impl<'de> de::Deserializer<'de> for &mut Inventor<'_> {
    type Error = Error;

    numbers! {
        deserialize_u8 => visit_u8 as u8, deserialize_u16 => visit_u16 as u16, deserialize_u32 => visit_u32 as u32,
        deserialize_u64 => visit_u64 as u64, deserialize_i8 => visit_i8 as i8, deserialize_i16 => visit_i16 as i16,
        deserialize_i32 => visit_i32 as i32, deserialize_i64 => visit_i64 as i64,
    }

    fn is_human_readable(&self) -> bool {
        false
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(de::Error::custom("bodies say what they want"))
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_bool(self.choose(2) == 0)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_f64((self.draw() % 1001) as f64 / 1000.0)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let number = self.draw() % 10_000;
        visitor.visit_string(format!("text {number} é"))
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.choose(2) == 0 { visitor.visit_some(self) } else { visitor.visit_none() }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let left = self.choose(3) as usize;
        visitor.visit_seq(Items { inventor: self, left })
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_seq(Items { inventor: self, left: len })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_seq(Items { inventor: self, left: fields.len() })
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.widest.set(self.widest.get().max(names.len() as u64));
        let chosen = self.choose(names.len() as u64) as usize;
        visitor.visit_enum(Variant { inventor: self, name: names[chosen] })
    }

    forward_to_deserialize_any! { i128 u128 f32 char bytes byte_buf unit unit_struct tuple_struct map identifier ignored_any }
}

struct Items<'a, 'b> {
    inventor: &'a mut Inventor<'b>,
    left: usize,
}

impl<'de> SeqAccess<'de> for Items<'_, '_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        self.left = left;
        seed.deserialize(&mut *self.inventor).map(Some)
    }
}

struct Variant<'a, 'b> {
    inventor: &'a mut Inventor<'b>,
    name: &'static str,
}

impl<'de> de::EnumAccess<'de> for Variant<'_, '_> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Self), Error> {
        let name: StrDeserializer<'_, Error> = self.name.into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_, '_> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(self.inventor)
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_seq(Items { inventor: self.inventor, left: len })
    }

    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Error> {
        visitor.visit_seq(Items { inventor: self.inventor, left: fields.len() })
    }
}
