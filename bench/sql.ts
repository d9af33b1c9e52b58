import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { compileStatement, createDocument } from '../src/sql/sql.ts'
import type { CompiledStatement } from '../src/sql/sql.ts'

/**
 * `npm run bench:sql`: what a rule costs on real telemetry, as a ratio to JSON.parse and
 * JSON.stringify of the same payload in the same run, and how long statements take to compile.
 */
const file = process.argv[2] ?? 'samples/environmental-telemetry.ndjson'
const texts = readFileSync(file, 'utf8').trim().split('\n')
const payloads = texts.map((text) => Buffer.from(text))
const environment = { accountId: '000000000000', newUuid: randomUUID }
const topic = 'dt/room/x'

const roundsMax = 40
/** Kept, so that no engine can leave work out. */
let kept = 0

/** One pass over all payloads. */
type Pass = () => void

const floor: Pass = () => {
  for (const text of texts) kept += JSON.stringify(JSON.parse(text)).length
}

function passOf(statements: readonly CompiledStatement[]): Pass {
  return () => {
    for (const payload of payloads) {
      const document = createDocument(
        { topic, payload, timestampMs: 1_700_000_000_000 },
        environment,
      )
      for (const statement of statements) {
        const result = statement.evaluate(statement.openScope(document))
        if (result.matched) kept += result.output.length
      }
    }
  }
}

/** Nanoseconds a message of each pass: the median of rounds in which they take turns. */
function measure(passes: ReadonlyMap<string, Pass>): ReadonlyMap<string, number> {
  const taken = new Map([...passes.keys()].map((name) => [name, [] as number[]]))
  for (let round = 0; round < roundsMax; round++) {
    for (const [name, pass] of passes) {
      const startNs = process.hrtime.bigint()
      pass()
      taken.get(name)?.push(Number(process.hrtime.bigint() - startNs) / texts.length)
    }
  }
  // The first half is for the compiler to warm up.
  return new Map([...taken].map(([name, times]) => [name, median(times.slice(roundsMax / 2))]))
}

const median = (numbers: readonly number[]): number =>
  numbers.toSorted((left, right) => left - right)[Math.floor(numbers.length / 2)] ?? Number.NaN

const compile = (sql: string): CompiledStatement => compileStatement(sql, '2016-03-23')

const where = "SELECT data.temp AS t, topic(2) AS d FROM 'dt/+/x' WHERE data.temp > 20"
const topicOnly = "SELECT * FROM 'dt/+/x' WHERE topic(2) = 'room'"
const ten = Array.from({ length: 10 }, (_, index) =>
  compile(`SELECT data.temp AS t, topic(2) AS d FROM 'dt/+/x' WHERE data.temp > ${15 + index}`),
)

const names = {
  json: 'JSON.parse and JSON.stringify',
  where,
  topicOnly,
  ten: 'ten rules like the first, on one message',
}

/** A statement of about so many bytes: one long condition. */
function statementOf(bytes: number): string {
  const head = "SELECT data.temp AS t FROM 'dt/+/x' WHERE data.temp > 20"
  const part = ' AND data.humidity + 1 <> 2'
  return head + part.repeat(Math.floor((bytes - head.length) / part.length))
}

/** Milliseconds, the median of some. */
function compileMs(bytes: number, rounds: number): number {
  const sql = statementOf(bytes)
  const times = Array.from({ length: rounds }, () => {
    const startMs = performance.now()
    compile(sql)
    return performance.now() - startMs
  })
  return median(times.slice(Math.floor(rounds / 2)))
}

const figures = measure(
  new Map<string, Pass>([
    [names.json, floor],
    [names.where, passOf([compile(where)])],
    [names.topicOnly, passOf([compile(topicOnly)])],
    [names.ten, passOf(ten)],
  ]),
)
const of = (name: string): number => figures.get(name) ?? Number.NaN
const json = of(names.json)

console.log(`Node ${process.version}, ${texts.length} messages of ${file}\n`)
console.log('| on one message | ns | ratio to JSON |\n| --- | ---: | ---: |')
for (const [name, ns] of figures) {
  console.log(`| ${name.replaceAll('|', '\\|')} | ${ns.toFixed(0)} | ${(ns / json).toFixed(2)} |`)
}
const [small, large] = [compileMs(1_024, 200), compileMs(32 * 1_024, 12)]
console.log(`\n| compiling | ms |\n| --- | ---: |`)
console.log(
  `| a statement of 1 KiB | ${small.toFixed(2)} |\n| one of 32 KiB | ${large.toFixed(1)} |\n`,
)

const furtherRule = (of(names.ten) - of(names.where)) / 9
const verdicts: [text: string, value: number, most: number][] = [
  ['SELECT of two items with WHERE, ratio to JSON', of(names.where) / json, 2],
  ['SELECT * with WHERE on the topic, ratio to JSON', of(names.topicOnly) / json, 0.1],
  // The payload is read once for all rules, so a further one costs less than the reading alone.
  ['each further rule on the message, ratio to the first', furtherRule / of(names.where), 0.6],
  ['compiling 1 KiB, ms', small, 1],
  ['compiling 32 KiB, ms', large, 100],
]
for (const [text, value, most] of verdicts) {
  console.log(
    `- ${value <= most ? 'held' : 'MISSED'}: ${text}: ${value.toFixed(2)} (at most ${most})`,
  )
}
if (kept === 0) throw new Error('nothing was measured')
