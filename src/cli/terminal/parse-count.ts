import { InvalidArgumentError } from 'commander'

/**
 * The value of an option such as `--limit`.
 *
 * @returns a whole number above 0
 * @throws InvalidArgumentError that says what is needed
 */
export function parseCount(text: string): number {
  const count = Number(text)
  if (Number.isInteger(count) && count >= 1) return count
  throw new InvalidArgumentError(`"${text}" is not a whole number above 0.`)
}
