/**
 * How long a text may become. A payload has 128 KiB, but a rule can multiply it (`a + a + a`,
 * `replace(a, 'x', a)`), so every text that is made in evaluating has this limit: Undefined beyond.
 */

/** UTF-16 units: as much as a Kinesis record of 1 MiB can hold. */
export const textLengthMax = 1024 * 1024

/** The text, or Undefined when it is longer than the limit. */
export function limitedText(text: string): string | undefined {
  return text.length <= textLengthMax ? text : undefined
}
