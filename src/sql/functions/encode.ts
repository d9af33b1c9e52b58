/**
 * `encode(value | *, 'base64')` and `decode(text | *, 'base64' | 'proto', ...)`.
 */
import type { Expression } from '../parser/ast.ts'
import { isConstant } from '../parser/constant.ts'
import { toText } from '../values/conversions.ts'
import { readJson } from '../values/json-reader.ts'
import { madeText } from '../values/text-limit.ts'
import type { Value } from '../values/values.ts'
import { spend } from '../values/work.ts'
import type { Work } from '../values/work.ts'
import { protobufCall, writtenProblem } from './external.ts'
import type { ArgumentProblem, SqlFunction } from './function.ts'

const base64 = 'base64'
const protobuf = 'proto'
/** Arguments: value and scheme, and for protobuf also bucket, key, file and type. */
const protobufArguments = 6

export const encodeFunctions: readonly SqlFunction[] = [
  {
    name: 'encode',
    sinceVersion: '2016-03-23',
    arity: [2, 2],
    implementation: ([value, scheme], { state }, dialect) => {
      const text = toText(value, dialect, state)
      return text === undefined ? undefined : encode(Buffer.from(text), scheme, state)
    },
    payloadImplementation: ([, scheme], { document, state }) =>
      encode(document.message.payload, scheme, state),
    findProblem: (values) => schemeProblem('encode', values),
  },
  {
    name: 'decode',
    sinceVersion: '2016-03-23',
    arity: [2, protobufArguments],
    implementation: (values, { state }) =>
      values.length === 2 ? decode(values[0], values[1], state) : undefined,
    payloadImplementation: (values, { document, state }) =>
      values.length === 2
        ? decode(document.message.payload.toString(), values[1], state)
        : undefined,
    findProblem: (values) => protobufProblem(values) ?? schemeProblem('decode', values),
    externalCall: (values) => (isProtobuf(values) ? protobufCall : undefined),
  },
]

/** A scheme that is written in the statement is checked with the statement. */
function schemeProblem(name: string, values: readonly Expression[]): ArgumentProblem | undefined {
  const scheme = values[1]
  if (scheme === undefined || !isConstant(scheme)) return undefined
  if (scheme.kind === 'constant' && scheme.value === base64) return undefined
  if (name === 'decode' && isProtobuf(values)) return undefined
  const schemes = name === 'decode' ? `'${base64}' or '${protobuf}'` : `'${base64}'`
  return { at: scheme.at, problem: `the scheme of ${name}() must be ${schemes}` }
}

/** Protobuf has other arguments, so its scheme must be written in the statement. */
function isProtobuf(values: readonly Expression[]): boolean {
  const scheme = values[1]
  return scheme?.kind === 'constant' && scheme.value === protobuf
}

function protobufProblem(values: readonly Expression[]): ArgumentProblem | undefined {
  const scheme = values[1]
  if (scheme === undefined || !isProtobuf(values)) return undefined
  if (values.length === protobufArguments) {
    return writtenProblem('the bucket', values[2]) ?? writtenProblem('the key', values[3])
  }
  return {
    at: scheme.at,
    problem: `decode() with '${protobuf}' takes ${protobufArguments} arguments: value, scheme, bucket, key, file, type`,
  }
}

function encode(bytes: Buffer, scheme: Value, work: Work): Value {
  return scheme === base64 ? madeText(bytes.toString(base64), work) : undefined
}

/** Standard base64 as Java reads it: all padding may be missing, and nothing else. */
const base64Text = /^[A-Za-z0-9+/]*={0,2}$/
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** The steps per base64 character. The text may be JSON, of which `[{},{},...]` takes most. */
const decodedSteps = 5

/**
 * The value of a JSON document, or the text itself when it is not JSON. Null when the argument is
 * not base64 or does not decode to UTF-8.
 */
function decode(value: Value, scheme: Value, work: Work): Value {
  if (value === undefined || scheme !== base64) return undefined
  if (typeof value !== 'string') return null
  spend(work, value.length * decodedSteps)
  if (!isBase64(value)) return null
  let text: string
  try {
    text = utf8.decode(Buffer.from(value, base64))
  } catch {
    return null
  }
  const document = readJson(text.replace(/^\ufeff/, ''))
  return document === undefined ? text : document
}

function isBase64(text: string): boolean {
  if (!base64Text.test(text)) return false
  const padding = text.indexOf('=')
  return padding < 0 ? text.length % 4 !== 1 : text.length % 4 === 0
}
