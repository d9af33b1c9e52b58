/** Runs all heavy messages in this process, and prints a line of JSON for each. */
import { heavyMessages } from './heavy-messages.ts'
import { measure } from './measure.ts'
import { payloads } from './payloads.ts'

for (const [name, { payload, sql, template }] of Object.entries(heavyMessages)) {
  const measured = measure(sql, payloads[payload](), template)
  console.log(JSON.stringify({ name, ...measured, outcome: measured.outcome.slice(0, 200) }))
}
