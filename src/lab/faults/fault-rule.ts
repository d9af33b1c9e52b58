import { closestName } from '../../base/closest-name.ts'
import { SluiceError } from '../../base/errors.ts'
import { selectsOperation } from './faults.ts'
import type { FaultEffect, FaultRule } from './faults.ts'
import { isObject } from '../wire/validation.ts'

/**
 * Reads a fault rule from JSON. An unknown member, or one that has no meaning together with the
 * others, is refused, because a rule that silently never applies is worse than none.
 */

/** A kind of value: its description, and a test for it. */
interface Kind {
  readonly text: string
  is(value: unknown): boolean
}

type Members = Readonly<Record<string, Kind>>

const textCharactersMax = 2_048
const positionsMax = 500
const countMax = 1_000_000_000
/** Longer than any client waits. */
const delayMsMax = 600_000

const text: Kind = {
  text: `a text of 1 to ${textCharactersMax} characters`,
  is: (value) => typeof value === 'string' && value !== '' && value.length <= textCharactersMax,
}
const operationName: Kind = {
  text: 'the name of an operation, or the beginning of names and a star, such as Put*',
  is: (value) => typeof value === 'string' && /^[A-Za-z]{0,128}\*?$/.test(value) && value !== '',
}
const errorCode: Kind = {
  text: 'the code of an error, such as AccessDeniedException',
  is: (value) => typeof value === 'string' && /^[A-Za-z][\w.]{0,127}$/.test(value),
}
const position = integer(0, positionsMax - 1)
const positions: Kind = {
  text: `a list of 1 to ${positionsMax} positions, each from 0 to ${positionsMax - 1}`,
  is: (value) =>
    Array.isArray(value) &&
    value.length > 0 &&
    value.length <= positionsMax &&
    value.every((item) => position.is(item)),
}
const probability: Kind = {
  text: 'a number from 0 to 1',
  is: (value) => typeof value === 'number' && value >= 0 && value <= 1,
}
const failureStatus = integer(400, 599)

/** The required and the optional members of each effect. */
const effects: Readonly<Record<FaultEffect['kind'], { required: Members; optional?: Members }>> = {
  error: { required: { code: errorCode }, optional: { message: text, status: failureStatus } },
  html: { required: { status: failureStatus } },
  failEntries: {
    required: { code: oneOf(['ProvisionedThroughputExceededException', 'InternalFailure']) },
  },
  delay: { required: { delayMs: integer(0, delayMsMax) } },
  dropCall: { required: {} },
  dropAnswer: { required: {} },
}

const selectors: Readonly<Record<Exclude<keyof FaultRule, 'effect'>, Kind>> = {
  operation: operationName,
  streamName: text,
  partitionKey: text,
  shardId: text,
  positions,
  roleArn: text,
  accessKeyId: text,
  times: integer(1, countMax),
  after: integer(0, countMax),
  probability,
}

const putOperations = ['PutRecord', 'PutRecords']
const roleOperations = ['AssumeRole', 'AssumeRoleWithWebIdentity']

/**
 * @param operations the names of all operations that the lab has
 * @throws SluiceError InvalidRequestException, naming the field
 */
export function readFaultRule(value: unknown, operations: readonly string[]): FaultRule {
  if (!isObject(value)) throw invalid('the body must be a JSON object, with an "effect"')
  const { effect, ...rest } = value
  checkEffect(effect)
  checkMembers('', rest, {}, selectors)
  const rule = value as unknown as FaultRule
  const isOfEntries = rule.effect.kind === 'failEntries'
  if (rule.positions && !isOfEntries) {
    throw invalid('positions selects entries of PutRecords: it needs the effect failEntries')
  }
  const selectsOneOf = (names: readonly string[]) =>
    names.some((name) => selectsOperation(rule.operation, name))
  if (isOfEntries && !selectsOneOf(putOperations)) {
    throw invalid(
      'operation must be PutRecord, PutRecords or Put*, or absent, with the effect failEntries',
    )
  }
  if (rule.roleArn !== undefined && !selectsOneOf(roleOperations)) {
    throw invalid(`roleArn selects calls of AssumeRole: it never matches ${rule.operation}`)
  }
  if (!selectsOneOf(operations)) throw noOperation(rule.operation ?? '', operations)
  return rule
}

function noOperation(wanted: string, operations: readonly string[]): SluiceError {
  const meant = closestName(wanted, operations)
  const advice = meant === undefined ? '' : `; was ${meant} meant?`
  return invalid(`operation matches no operation of the lab: ${wanted}${advice}`)
}

function checkEffect(effect: unknown): void {
  if (effect === undefined) throw invalid('effect is missing')
  if (!isObject(effect)) throw invalid('effect must be an object, with a "kind"')
  const { kind, ...rest } = effect
  if (!isEffectKind(kind)) {
    const kinds = Object.keys(effects).join(', ')
    const problem = kind === undefined ? 'is missing; it must' : 'must'
    throw invalid(`effect.kind ${problem} be one of ${kinds}`)
  }
  const { required, optional = {} } = effects[kind]
  checkMembers('effect.', rest, required, optional)
}

const isEffectKind = (kind: unknown): kind is FaultEffect['kind'] =>
  typeof kind === 'string' && Object.hasOwn(effects, kind)

function checkMembers(
  path: string,
  given: Readonly<Record<string, unknown>>,
  required: Members,
  optional: Members,
): void {
  const allowed: Members = { ...required, ...optional }
  for (const [name, value] of Object.entries(given)) {
    const kind = Object.hasOwn(allowed, name) ? allowed[name] : undefined
    if (!kind) {
      const names = Object.keys(allowed).join(', ') || 'none'
      throw invalid(`${path}${name} is not a known member; there are ${names}`)
    }
    if (!kind.is(value)) throw invalid(`${path}${name} must be ${kind.text}`)
  }
  const missing = Object.keys(required).find((name) => !Object.hasOwn(given, name))
  if (missing !== undefined) throw invalid(`${path}${missing} is missing`)
}

function integer(min: number, max: number): Kind {
  return {
    text: `a whole number from ${min} to ${max}`,
    is: (value) => Number.isInteger(value) && Number(value) >= min && Number(value) <= max,
  }
}

function oneOf(values: readonly string[]): Kind {
  return {
    text: `one of ${values.join(', ')}`,
    is: (value) => typeof value === 'string' && values.includes(value),
  }
}

const invalid = (message: string) => new SluiceError('InvalidRequestException', message)
