/** Goes on at once with what is there, and later with what is not. */
export function whenKnown<Value, Result>(
  value: Value | Promise<Value>,
  use: (value: Value) => Result | Promise<Result>,
): Result | Promise<Result> {
  return value instanceof Promise ? value.then(use) : use(value)
}

/** All of them at once, or when the last one is there; in their order. */
export function allKnown<Value>(
  values: readonly (Value | Promise<Value>)[],
): readonly Value[] | Promise<readonly Value[]> {
  const areKnown = values.every((value): value is Value => !(value instanceof Promise))
  return areKnown ? values : Promise.all(values)
}
