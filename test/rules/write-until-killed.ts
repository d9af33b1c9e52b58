/**
 * A child process: creates rules in the folder named on its command line, replaces each and deletes
 * it, several at a time, and prints `<name> <state>` once each of these has resolved. Names begin
 * with the second word of the command line. The files are so long that a part of one is no rule.
 */
import { compileActions } from '../../src/actions/compile-actions.ts'
import { systemClock } from '../../src/base/clock.ts'
import { createRuleCompiler } from '../../src/rules/compile-rule.ts'
import { parsePayload } from '../../src/rules/payload.ts'
import type { TopicRulePayload } from '../../src/rules/payload.ts'
import { openRuleStore } from '../../src/rules/rule-store.ts'
import { compileStatement } from '../../src/sql/sql.ts'
import { createLogger, createMetrics } from '../../src/telemetry/telemetry.ts'

const [directory = '', prefix = ''] = process.argv.slice(2)
const descriptionLength = 20_000

const store = await openRuleStore(
  {
    compile: createRuleCompiler(
      { compileStatement, compileActions },
      { region: 'eu-central-1', accountId: '123456789012' },
    ),
    logger: await createLogger('silent', { pretty: false }),
    metrics: createMetrics(),
    clock: systemClock,
  },
  { directory, rulesMax: 100_000, watch: false },
)

function payload(state: string): TopicRulePayload {
  const description = state.padEnd(descriptionLength)
  return parsePayload({ sql: "SELECT * FROM 'a'", actions: [], description })
}

async function writeForever(line: number): Promise<never> {
  for (let number = 0; ; number += 1) {
    const name = `${prefix}_${line}_${number}`
    await store.create(name, payload('created'), { line: String(line) })
    process.stdout.write(`${name} created\n`)
    await store.replace(name, payload('replaced'))
    process.stdout.write(`${name} replaced\n`)
    if (number % 2 === 0) continue
    await store.delete(name)
    process.stdout.write(`${name} deleted\n`)
  }
}

await Promise.all([0, 1, 2, 3].map(writeForever))
