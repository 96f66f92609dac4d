//! array_agg(x ORDER BY y) and string_agg(x, ',' ORDER BY y): the rows of all groups are kept as they come, and put in order when they
//! are asked for. The library keeps each value and what it is ordered by as values of their own, hundreds of bytes a row.

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, LargeStringBuilder, ListArray, StructArray,
    UInt32Array, UInt64Array, new_empty_array,
};
use datafusion::arrow::buffer::{NullBuffer, OffsetBuffer};
use datafusion::arrow::compute::{self, SortOptions, prep_null_mask_filter};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Fields};
use datafusion::arrow::row::{RowConverter, SortField};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::{Accumulator, EmitTo, GroupsAccumulator};
use datafusion::physical_expr::expressions::Literal;
use datafusion_functions_aggregate_common::utils::ordering_fields;
use std::fmt::{self, Write as _};
use std::sync::Arc;

/// What is made of a group's values.
#[derive(Clone, Debug)]
enum Made {
    Array,
    /// A text, with this between each two of them.
    Text(Box<str>),
}

/// The arrays of groups.
#[derive(Debug)]
pub(super) struct OrderedArrays {
    made: Made,
    element: FieldRef,
    /// What is ordered by.
    by: Fields,
    options: Vec<SortOptions>,
    /// Whether the order asked for is the other way round.
    reversed: bool,
    /// The values' column and those they are ordered by, batch after batch.
    batches: Vec<Vec<ArrayRef>>,
    /// The group of each row.
    groups: Vec<usize>,
    total: usize,
    bytes: usize,
}

impl OrderedArrays {
    /// Of the arguments of array_agg or string_agg; None where it has no order, or where DISTINCT or IGNORE NULLS leave out rows.
    ///
    /// # Errors
    /// The library's, for an expression without a type.
    pub(super) fn of(args: &AccumulatorArgs<'_>) -> Result<Option<OrderedArrays>> {
        if args.order_bys.is_empty() || args.is_distinct || args.ignore_nulls {
            return Ok(None);
        }
        let made = match args.exprs {
            [_] => Made::Array,
            [_, between] => match between.downcast_ref::<Literal>().map(Literal::value) {
                Some(value) if value.is_null() => Made::Text("".into()),
                Some(value) => match value.try_as_str().flatten() {
                    Some(between) => Made::Text(between.into()),
                    None => return Ok(None),
                },
                None => return Ok(None),
            },
            _ => return Ok(None),
        };
        let types = args.order_bys.iter();
        let types = types.map(|item| item.expr.data_type(args.schema));
        let by = ordering_fields(args.order_bys, &types.collect::<Result<Vec<_>>>()?);
        let element = args.expr_fields[0].data_type().clone();
        Ok(Some(OrderedArrays {
            made,
            element: Arc::new(Field::new_list_field(element, true)),
            by: by.into(),
            options: args.order_bys.iter().map(|item| item.options).collect(),
            reversed: args.is_reversed,
            batches: Vec::new(),
            groups: Vec::new(),
            total: 0,
            bytes: 0,
        }))
    }

    /// The same, of nothing yet.
    fn empty(&self) -> OrderedArrays {
        OrderedArrays {
            made: self.made.clone(),
            element: self.element.clone(),
            by: self.by.clone(),
            options: self.options.clone(),
            reversed: self.reversed,
            batches: Vec::new(),
            groups: Vec::new(),
            total: 0,
            bytes: 0,
        }
    }

    /// Of the arguments' columns those that are kept.
    fn kept(&self, columns: &[ArrayRef]) -> Vec<ArrayRef> {
        let mut columns = columns.to_vec();
        if let Made::Text(_) = self.made {
            columns.remove(1);
        }
        columns
    }

    /// What is made of the groups' arrays.
    fn made_of(&self, lists: ArrayRef) -> Result<ArrayRef> {
        let Made::Text(between) = &self.made else {
            return Ok(lists);
        };
        let lists = lists.as_list::<i32>();
        let values = compute::cast(lists.values(), &DataType::LargeUtf8)?;
        let values = values.as_string::<i64>();
        let mut texts = LargeStringBuilder::new();
        for ends in lists.value_offsets().windows(2) {
            let group = values.slice(ends[0] as usize, (ends[1] - ends[0]) as usize);
            let mut any = false;
            for text in group.iter().flatten() {
                if any {
                    texts.write_str(between).map_err(unwritten)?;
                }
                texts.write_str(text).map_err(unwritten)?;
                any = true;
            }
            match any {
                true => texts.append_value(""),
                false => texts.append_null(),
            }
        }
        Ok(Arc::new(texts.finish()))
    }

    fn add(&mut self, batch: Vec<ArrayRef>, groups: &[usize]) {
        let bytes = batch.iter().map(|column| column.get_array_memory_size());
        self.bytes += bytes.sum::<usize>() + size_of_val(groups);
        self.batches.push(batch);
        self.groups.extend_from_slice(groups);
    }

    /// A column of all rows.
    fn column(&self, place: usize, data_type: &DataType) -> Result<ArrayRef> {
        let parts: Vec<&dyn Array> = self.batches.iter().map(|it| it[place].as_ref()).collect();
        match parts.is_empty() {
            true => Ok(new_empty_array(data_type)),
            false => Ok(compute::concat(&parts)?),
        }
    }

    fn columns(&self) -> Result<Vec<ArrayRef>> {
        let by = self.by.iter().map(|field| field.data_type());
        let types = [self.element.data_type()].into_iter().chain(by);
        let columns = types
            .enumerate()
            .map(|(place, data_type)| self.column(place, data_type));
        columns.collect()
    }

    /// The rows of the first groups, so many, group after group in their order; and how many each has.
    fn in_order(&self, first: usize, columns: &[ArrayRef]) -> Result<(UInt32Array, Vec<usize>)> {
        let mut lengths = vec![0; first];
        for group in self.groups.iter().filter(|group| **group < first) {
            lengths[*group] += 1;
        }
        let mut next: Vec<usize> = Vec::with_capacity(first);
        let mut rows_before = 0;
        for length in &lengths {
            next.push(rows_before);
            rows_before += length;
        }
        let mut rows = vec![0_u32; rows_before];
        for (row, group) in self.groups.iter().enumerate() {
            if let Some(place) = next.get_mut(*group) {
                rows[*place] = u32::try_from(row)
                    .map_err(|_| DataFusionError::Internal("rows past u32".to_owned()))?;
                *place += 1;
            }
        }
        let fields = self.by.iter().zip(&self.options).map(|(field, options)| {
            SortField::new_with_options(field.data_type().clone(), *options)
        });
        let keys = RowConverter::new(fields.collect())?.convert_columns(&columns[1..])?;
        let mut rest = rows.as_mut_slice();
        for length in &lengths {
            let (group, behind) = rest.split_at_mut(*length);
            group.sort_by(|a, b| keys.row(*a as usize).cmp(&keys.row(*b as usize)));
            if self.reversed {
                group.reverse();
            }
            rest = behind;
        }
        Ok((UInt32Array::from(rows), lengths))
    }

    /// The arrays of the first groups; NULL for one without rows.
    fn lists(&self, first: usize) -> Result<(ArrayRef, ArrayRef)> {
        let columns = self.columns()?;
        let (rows, lengths) = self.in_order(first, &columns)?;
        let offsets = OffsetBuffer::from_lengths(lengths.iter().copied());
        let there: NullBuffer = lengths.iter().map(|length| *length > 0).collect();
        let values = compute::take(&columns[0], &rows, None)?;
        let values =
            ListArray::try_new(self.element.clone(), offsets.clone(), values, Some(there))?;
        let by = columns[1..].iter();
        let by = by.map(|column| compute::take(column, &rows, None));
        let by = StructArray::try_new(self.by.clone(), by.collect::<Result<_, _>>()?, None)?;
        let field = Field::new_list_field(by.data_type().clone(), true);
        let by = ListArray::try_new(Arc::new(field), offsets, Arc::new(by), None)?;
        Ok((Arc::new(values), Arc::new(by)))
    }

    /// As [`OrderedArrays::lists`], of groups that are then forgotten.
    fn taken(&mut self, emit_to: EmitTo) -> Result<(ArrayRef, ArrayRef)> {
        let first = match emit_to {
            EmitTo::All => self.total,
            EmitTo::First(first) => first,
        };
        let lists = self.lists(first)?;
        let kept: BooleanArray = self.groups.iter().map(|it| Some(*it >= first)).collect();
        let columns = match kept.true_count() {
            0 => None,
            _ => Some(self.columns()?),
        };
        self.batches.clear();
        self.bytes = 0;
        self.total -= first;
        let groups = std::mem::take(&mut self.groups).into_iter();
        let groups = groups.filter(|group| *group >= first);
        let groups: Vec<usize> = groups.map(|group| group - first).collect();
        if let Some(columns) = columns {
            let columns = columns.iter().map(|column| compute::filter(column, &kept));
            self.add(columns.collect::<Result<_, _>>()?, &groups);
        }
        Ok(lists)
    }
}

fn unwritten(error: fmt::Error) -> DataFusionError {
    DataFusionError::Internal(error.to_string())
}

impl GroupsAccumulator for OrderedArrays {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.total = total_num_groups;
        let values = self.kept(values);
        let Some(filter) = opt_filter else {
            self.add(values, group_indices);
            return Ok(());
        };
        let filter = match filter.null_count() {
            0 => filter.clone(),
            _ => prep_null_mask_filter(filter),
        };
        let values = values.iter().map(|column| compute::filter(column, &filter));
        let groups = group_indices.iter().zip(filter.values());
        let groups: Vec<usize> = groups
            .filter_map(|(group, there)| there.then_some(*group))
            .collect();
        self.add(values.collect::<Result<_, _>>()?, &groups);
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let (lists, _) = self.taken(emit_to)?;
        self.made_of(lists)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        self.taken(emit_to).map(|(values, by)| vec![values, by])
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> Result<()> {
        self.total = total_num_groups;
        let [lists, by] = values else {
            return Err(DataFusionError::Internal("two columns of state".to_owned()));
        };
        let (lists, by) = (lists.as_list::<i32>(), by.as_list::<i32>());
        let mut groups = Vec::new();
        let (mut of_values, mut of_by) = (Vec::new(), Vec::new());
        for (row, group) in group_indices.iter().enumerate() {
            if lists.is_null(row) {
                continue;
            }
            let length = lists.value_length(row) as u64;
            let (value, order) = (lists.value_offsets()[row], by.value_offsets()[row]);
            of_values.extend(value as u64..value as u64 + length);
            of_by.extend(order as u64..order as u64 + length);
            groups.extend(std::iter::repeat_n(*group, length as usize));
        }
        let of_by = UInt64Array::from(of_by);
        let mut batch = vec![compute::take(
            lists.values(),
            &UInt64Array::from(of_values),
            None,
        )?];
        for column in by.values().as_struct().columns() {
            batch.push(compute::take(column, &of_by, None)?);
        }
        self.add(batch, &groups);
        Ok(())
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        opt_filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let rows = values.first().map_or(0, |column| column.len());
        let each: Vec<usize> = (0..rows).collect();
        let mut of_rows = self.empty();
        of_rows.update_batch(values, &each, opt_filter, rows)?;
        of_rows.state(EmitTo::All)
    }

    fn size(&self) -> usize {
        self.bytes
    }
}

/// The array of all rows.
#[derive(Debug)]
pub(super) struct OrderedArray(OrderedArrays);

impl OrderedArray {
    pub(super) fn new(mut arrays: OrderedArrays) -> OrderedArray {
        arrays.total = 1;
        OrderedArray(arrays)
    }
}

impl Accumulator for OrderedArray {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let rows = values.first().map_or(0, |column| column.len());
        self.0.update_batch(values, &vec![0; rows], None, 1)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let (lists, _) = self.0.lists(1)?;
        ScalarValue::try_from_array(&self.0.made_of(lists)?, 0)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let (values, by) = self.0.lists(1)?;
        let state = [values, by];
        let state = state
            .iter()
            .map(|column| ScalarValue::try_from_array(column, 0));
        state.collect()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let rows = states.first().map_or(0, |column| column.len());
        self.0.merge_batch(states, &vec![0; rows], 1)
    }

    fn size(&self) -> usize {
        self.0.bytes
    }
}
