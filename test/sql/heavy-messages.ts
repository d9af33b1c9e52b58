/**
 * Rules that multiply what a message brings, each with a message that fits AWS's 128 KiB. What they
 * ask for would take from one to some hundreds of gigabytes.
 */
export interface HeavyMessage {
  readonly sql: string
  readonly templates?: readonly string[]
  readonly payload: () => unknown
  /** What comes of the statement, and of its templates. */
  readonly expected: readonly string[]
}

const words = () => ({ r: Array.from({ length: 16_000 }, () => 'abcd') })
/** A number of so many digits; JSON.stringify would round it. */
const digits = '7'.repeat(100_000)

export const heavyMessages: Readonly<Record<string, HeavyMessage>> = {
  'a variable': {
    sql: "SET @q = r, @a = (SELECT VALUE @q FROM r) SELECT isUndefined(@a) AS y FROM 'q/+'",
    payload: words,
    expected: ['{"y":true}'],
  },
  'a variable of long texts': {
    sql: `SET @m = meta, @a = (SELECT VALUE concat(@m, e) FROM rows AS e)
      SELECT isUndefined(@a) AS y FROM 'q/+'`,
    payload: () => ({ meta: 'm'.repeat(65_000), rows: Array.from({ length: 12_000 }, () => 1) }),
    expected: ['{"y":true}'],
  },
  'the value of a template': {
    sql: "SET @q = r SELECT 1 AS one FROM 'q/+'",
    templates: ['${(SELECT VALUE @q FROM @q)}'],
    payload: words,
    expected: ['{"one":1}', 'TemplateFailed: the text is longer than 1048576 characters'],
  },
  'a template of many parts': {
    sql: "SET @t = t SELECT 1 AS one FROM 'q/+'",
    templates: ['${@t}'.repeat(6_000)],
    payload: () => ({ t: 't'.repeat(120_000) }),
    expected: ['{"one":1}', 'TemplateFailed: the text is longer than 1048576 characters'],
  },
  'the input of a function': {
    sql: "SET @q = r SELECT aws_lambda('f', (SELECT VALUE @q FROM @q)) AS a FROM 'q/+'",
    payload: words,
    expected: ['the input is longer than 1048576 characters'],
  },
  'the text of long numbers': {
    sql: "SET @n = n SELECT isUndefined(upper((SELECT VALUE @n FROM r))) AS y FROM 'q/+'",
    payload: () => ({ n: digits, r: Array.from({ length: 10_000 }, () => 0) }),
    expected: ['{"y":true}'],
  },
  'an output of long numbers': {
    sql: "SET @n = n SELECT (SELECT VALUE @n FROM r) AS y FROM 'q/+'",
    payload: () => ({ n: digits, r: Array.from({ length: 10_000 }, () => 0) }),
    expected: ['the output is longer than 1048576 characters'],
  },
  'a replacement': {
    sql: "SELECT isUndefined(regexp_replace(t, '.+', by)) AS y FROM 'q/+'",
    payload: () => ({ t: 't'.repeat(60_000), by: '$0'.repeat(30_000) }),
    expected: ['{"y":true}'],
  },
  'arrays in a row': {
    sql: `SELECT isUndefined(concat(${Array(2_000).fill('a').join(', ')})) AS y FROM 'q/+'`,
    payload: () => ({ a: Array.from({ length: 60_000 }, () => 1) }),
    expected: ['{"y":true}'],
  },
}
