import { readdirSync } from 'node:fs'
import path from 'node:path'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { SluiceError } from '../../src/base/errors.ts'
import { unreachable } from '../../src/base/unreachable.ts'
import type { RunMapping } from '../../src/event-source/mapping-runner.ts'
import { startLab } from '../lab/lab-fixtures.ts'
import type { LabServer } from '../../src/lab/server/lab-server.ts'
import { temporaryFolder } from '../consumers/consumer-parts.ts'
import { printing, startMappings, streamArn } from './mapping-parts.ts'
import type { StartedMappings } from './mapping-parts.ts'

/**
 * Writers of mappings against a model: creates, updates, deletes and restarts, some of them at the
 * same time, on runners that take a while to stop.
 */
const functions = ['f', 'g']
const streams = ['s', 't']
const restingStates = ['Enabled', 'Disabled']

/** Each update has a value of its own, so that the model knows who wrote what is there. */
type Step =
  | { readonly kind: 'create'; readonly function: number; readonly stream: number }
  | { readonly kind: 'update'; readonly which: number; readonly member: 'BatchSize' | 'Retries' }
  | { readonly kind: 'enable'; readonly which: number; readonly enabled: boolean }
  | { readonly kind: 'rename'; readonly which: number; readonly function: number }
  | { readonly kind: 'delete'; readonly which: number }

const which = fc.nat({ max: 5 })
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    kind: fc.constant('create' as const),
    function: fc.nat({ max: 1 }),
    stream: fc.nat({ max: 1 }),
  }),
  fc.record({
    kind: fc.constant('update' as const),
    which,
    member: fc.constantFrom('BatchSize' as const, 'Retries' as const),
  }),
  fc.record({ kind: fc.constant('enable' as const), which, enabled: fc.boolean() }),
  fc.record({ kind: fc.constant('rename' as const), which, function: fc.nat({ max: 1 }) }),
  fc.record({ kind: fc.constant('delete' as const), which }),
)
/** The steps of a round begin in one turn. A restart begins while they are under way. */
interface Round {
  readonly steps: readonly Step[]
  readonly restarts: boolean
}
const round: fc.Arbitrary<Round> = fc.record({
  steps: fc.array(step, { minLength: 1, maxLength: 5 }),
  restarts: fc.boolean(),
})

/** The runners of all processes on a folder. */
function createRunners() {
  const running = new Map<string, number>()
  const violations: string[] = []
  let turns = 0
  const runMapping: RunMapping = (_dependencies, { uuid }) => {
    const count = (running.get(uuid) ?? 0) + 1
    running.set(uuid, count)
    if (count > 1) violations.push(`${count} runners of ${uuid}`)
    let stopped: Promise<void> | undefined
    return {
      positioned: Promise.resolve(),
      lastResult: () => 'OK',
      stop() {
        stopped ??= (async () => {
          for (let turn = turns++ % 4; turn >= 0; turn--) {
            await new Promise((resolve) => setImmediate(resolve))
          }
          running.delete(uuid)
        })()
        return stopped
      },
    }
  }
  return { running, violations, runMapping }
}

/** What each mapping may be: the values that a member may have, by its name. */
type Model = Map<string, Map<string, Set<unknown>>>

async function settled({ mappings }: StartedMappings): Promise<Record<string, unknown>[]> {
  for (;;) {
    const { EventSourceMappings } = mappings.list({})
    if (EventSourceMappings.every(({ State }) => restingStates.includes(String(State)))) {
      return [...EventSourceMappings]
    }
    await new Promise((resolve) => setImmediate(resolve))
  }
}

function carryOut(run: StartedMappings, uuids: readonly string[], given: Step, value: number) {
  const { mappings } = run
  if (given.kind === 'create') {
    return mappings.create({
      FunctionName: functions[given.function],
      EventSourceArn: streamArn(streams[given.stream] ?? ''),
      StartingPosition: 'TRIM_HORIZON',
      BatchSize: value,
    })
  }
  const uuid = uuids[given.which % Math.max(1, uuids.length)] ?? 'none'
  switch (given.kind) {
    case 'update':
      return mappings.update(uuid, {
        [given.member === 'BatchSize' ? 'BatchSize' : 'MaximumRetryAttempts']: value,
      })
    case 'enable':
      return mappings.update(uuid, { Enabled: given.enabled })
    case 'rename':
      return mappings.update(uuid, { FunctionName: functions[given.function] })
    case 'delete':
      return mappings.delete(uuid)
    default:
      return unreachable(given)
  }
}

/** Adds what the steps that were answered have done. */
function note(
  model: Model,
  gone: Set<string>,
  answered: readonly { readonly step: Step; readonly answer: Record<string, unknown> }[],
  value: (step: Step) => number,
): void {
  const changed = new Map<string, Map<string, Set<unknown>>>()
  for (const { step: given, answer } of answered) {
    const uuid = String(answer['UUID'])
    if (given.kind === 'create') {
      const members = { BatchSize: value(given), MaximumRetryAttempts: -1, Enabled: true }
      const FunctionArn = answer['FunctionArn']
      const all = Object.entries({ ...members, FunctionArn })
      model.set(uuid, new Map(all.map(([name, is]) => [name, new Set<unknown>([is])])))
    } else if (given.kind === 'delete') gone.add(uuid)
    else {
      const of = changed.get(uuid) ?? new Map<string, Set<unknown>>()
      changed.set(uuid, of)
      const [name, is] =
        given.kind === 'update'
          ? [given.member === 'BatchSize' ? 'BatchSize' : 'MaximumRetryAttempts', value(given)]
          : given.kind === 'enable'
            ? ['Enabled', given.enabled]
            : ['FunctionArn', answer['FunctionArn']]
      of.set(name, (of.get(name) ?? new Set()).add(is))
    }
  }
  for (const [uuid, members] of changed) {
    for (const [name, values] of members) model.get(uuid)?.set(name, values)
  }
  for (const uuid of gone) model.delete(uuid)
}

function expectModel(
  model: Model,
  gone: ReadonlySet<string>,
  listed: readonly Record<string, unknown>[],
): void {
  expect(listed.map(({ UUID }) => String(UUID)).toSorted()).toEqual([...model.keys()].toSorted())
  expect(listed.filter(({ UUID }) => gone.has(String(UUID)))).toEqual([])
  for (const mapping of listed) {
    for (const [name, values] of model.get(String(mapping['UUID'])) ?? []) {
      const is = name === 'Enabled' ? mapping['State'] === 'Enabled' : mapping[name]
      expect([name, [...values]]).toEqual([name, expect.arrayContaining([is])])
      values.clear()
      values.add(is)
    }
  }
  const pairs = listed.map(({ EventSourceArn, FunctionArn }) =>
    [EventSourceArn, FunctionArn].map(String).join(' '),
  )
  expect(new Set(pairs).size).toBe(pairs.length)
}

async function play(lab: LabServer, rounds: readonly Round[]): Promise<void> {
  const dataDir = temporaryFolder()
  const { running, violations, runMapping } = createRunners()
  const start = (files: Readonly<Record<string, string>> = {}) =>
    startMappings(lab, files, { dataDir, runMapping })
  let run = await start({ 'f.mjs': printing(), 'g.mjs': printing() })
  const model: Model = new Map()
  const gone = new Set<string>()
  let value = 0
  for (const { steps, restarts } of rounds) {
    const uuids = [...model.keys()]
    const values = new Map(steps.map((each) => [each, ++value]))
    const calls = steps.map(async (each) => carryOut(run, uuids, each, values.get(each) ?? 0))
    const stopped = restarts ? run.stop() : undefined
    const results = await Promise.allSettled(calls)
    await stopped
    const answered = results.flatMap((result, index) => {
      const each = steps[index]
      if (result.status === 'fulfilled' && each) return [{ step: each, answer: result.value }]
      return []
    })
    const faults = results.filter(
      (result) => result.status === 'rejected' && !(result.reason instanceof SluiceError),
    )
    expect(faults).toEqual([])
    note(model, gone, answered, (each) => values.get(each) ?? 0)
    const leftRunning = restarts ? [...running.keys()] : []
    expect(leftRunning).toEqual([])
    if (restarts) run = await start()
    const listed = await settled(run)
    expectModel(model, gone, listed)
    expect(violations).toEqual([])
    const enabled = listed
      .filter(({ State }) => State === 'Enabled')
      .map(({ UUID }) => String(UUID))
    expect([...running.keys()].toSorted()).toEqual(enabled.toSorted())
    const files = readdirSync(path.join(dataDir, 'event-source', 'mappings'))
    expect(files.toSorted()).toEqual([...model.keys()].map((uuid) => `${uuid}.json`).toSorted())
  }
  await run.stop()
  expect([...running.keys()]).toEqual([])
}

test('writers of mappings leave one runner for each, and nothing deleted comes back', async () => {
  const lab = await startLab()
  for (const stream of streams) lab.ensureStream(stream, 1)
  const rounds = fc.array(round, { minLength: 1, maxLength: 8 })
  const property = fc.asyncProperty(rounds, (each) => play(lab, each))
  const details = await fc.check(property, { numRuns: 40 })
  expect(fc.defaultReportMessage(details)).toBeUndefined()
}, 120_000)
