import type { PayloadName } from './payloads.ts'

/** A rule that multiplies what a message brings. */
export interface HeavyMessage {
  readonly payload: PayloadName
  readonly sql: string
  readonly template?: string
  /** What comes of it: the output, `template: ...`, or the reason why there is none. */
  readonly expected: string
}

const spent = (place: string) =>
  `WorkLimitExceeded: more work than one rule may do for one message, in ${place} at line 1`
const inQuery = (value: string, set = '@t = t') =>
  `SET ${set} SELECT isUndefined((SELECT VALUE ${value} FROM r AS x)) AS y FROM 'q/+'`

const many = (count: number, text: (index: number) => string) =>
  Array.from({ length: count }, (_, index) => text(index)).join(', ')

/** By what is done too much. */
export const heavyMessages: Readonly<Record<string, HeavyMessage>> = {
  'a variable of the array for each element': {
    payload: 'words',
    sql: "SET @q = r, @a = (SELECT VALUE @q FROM r) SELECT isUndefined(@a) AS y FROM 'q/+'",
    expected: '{"y":true}',
  },
  'a variable of long texts': {
    payload: 'meta',
    sql: `SET @m = meta, @a = (SELECT VALUE concat(@m, e) FROM r AS e) SELECT @a AS y FROM 'q/+'`,
    expected: spent('concat()'),
  },
  'the value of a template': {
    payload: 'words',
    sql: "SET @q = r SELECT 1 AS one FROM 'q/+'",
    template: '${(SELECT VALUE @q FROM @q)}',
    expected: 'template: TemplateFailed: the text is longer than 1048576 characters',
  },
  'a template of many parts': {
    payload: 'text',
    sql: "SET @t = t SELECT 1 AS one FROM 'q/+'",
    template: '${@t}'.repeat(6_000),
    expected: 'template: TemplateFailed: the text is longer than 1048576 characters',
  },
  'the input of a function': {
    payload: 'words',
    sql: "SET @q = r SELECT aws_lambda('f', (SELECT VALUE @q FROM @q)) AS a FROM 'q/+'",
    expected: 'ExternalFunctionFailed: the input is longer than 1048576 characters',
  },
  'the text of long numbers': {
    payload: 'longNumbers',
    sql: "SET @n = n SELECT isUndefined(upper((SELECT VALUE @n FROM r))) AS y FROM 'q/+'",
    expected: '{"y":true}',
  },
  'an output of long numbers': {
    payload: 'longNumbers',
    sql: "SET @n = n SELECT (SELECT VALUE @n FROM r) AS y FROM 'q/+'",
    expected: 'OutputTooLong: the output is longer than 1048576 characters',
  },
  'a replacement': {
    payload: 'text',
    sql: `SELECT regexp_replace(t, '.+', '${'$0'.repeat(10_000)}') AS y FROM 'q/+'`,
    expected: '{}',
  },
  'arrays in a row': {
    payload: 'digits',
    sql: `SELECT isUndefined(concat(${many(2_000, () => 'r')})) AS y FROM 'q/+'`,
    expected: spent('concat()'),
  },
  'x IN @list': {
    payload: 'distinct',
    sql: inQuery('x IN @l', '@l = r'),
    expected: spent("'IN'"),
  },
  'queries inside each other': {
    payload: 'digits',
    sql: inQuery('(SELECT VALUE (SELECT VALUE 1 FROM @l) FROM @l)', '@l = r'),
    expected: spent('the nested query'),
  },
  'a text for each element': {
    payload: 'text',
    sql: inQuery('upper(@t)'),
    expected: spent('upper()'),
  },
  'texts that are joined': { payload: 'text', sql: inQuery('@t + x'), expected: spent("'+'") },
  'texts of the array': {
    payload: 'digits',
    sql: inQuery('cast(@l AS string)', '@l = r'),
    expected: spent('cast()'),
  },
  'texts of deep arrays': {
    payload: 'deep',
    sql: inQuery('cast(@a AS string)', '@a = a'),
    expected: spent('cast()'),
  },
  'replaced texts': {
    payload: 'text',
    sql: inQuery("replace(@t, 't', 'uu')"),
    expected: spent('replace()'),
  },
  'a part that is nearly there': {
    payload: 'periodic',
    sql: inQuery('indexof(@t, @b)', '@t = t, @b = b'),
    expected: spent('indexof()'),
  },
  'regular expressions that look ahead': {
    payload: 'digitText',
    sql: inQuery("regexp_replace(@t, '[0-9]+;|[0-9]', '-')"),
    expected: spent('regexp_replace()'),
  },
  'regular expressions on the machine': {
    payload: 'digitText',
    sql: inQuery("regexp_replace(@t, '(?:[0-9]*)*;|[0-9]', '-')"),
    expected: spent('regexp_replace()'),
  },
  'borders of words': {
    payload: 'accents',
    sql: inQuery("regexp_substr(@t, '\\bx')"),
    expected: spent('regexp_substr()'),
  },
  'patterns of the message': {
    payload: 'regexes',
    sql: inQuery("regexp_matches('abc', x)", '@t = 1'),
    expected: spent('regexp_matches()'),
  },
  digests: { payload: 'text', sql: inQuery('md2(@t)'), expected: spent('md2()') },
  'decoded documents': {
    payload: 'base64',
    sql: inQuery("decode(@t, 'base64')"),
    expected: spent('decode()'),
  },
  'moments of many years and zones': {
    payload: 'moments',
    sql: inQuery("parse_time('yyyy zzzz', get(x, 0), get(x, 1))", '@t = 1'),
    expected: spent('parse_time()'),
  },
  'numbers of many digits': {
    payload: 'longNumbers',
    sql: inQuery('@n * 1.5 + @m', '@n = n, @m = m'),
    expected: spent("'*'"),
  },
  'comparing numbers of many digits': {
    payload: 'longNumbers',
    sql: inQuery('@n = @m', '@n = n, @m = m'),
    expected: spent("'='"),
  },
  'objects inside objects': {
    payload: 'digits',
    sql: `SELECT isUndefined((SELECT x AS a.b.c.d FROM r AS x)) AS y FROM 'q/+'`,
    expected: spent('a.b.c.d'),
  },
  'copies of an object': {
    payload: 'members',
    sql: `SELECT isUndefined((SELECT o.*, 1 AS o FROM * AS z)) AS y, ${many(1_900, (index) => `1 AS o.z${index}`)}, 1 AS o FROM 'q/+'`,
    expected: '{"y":false,"o":1}',
  },
}
