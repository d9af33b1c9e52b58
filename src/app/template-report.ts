import { existsSync } from 'node:fs'
import path from 'node:path'
import { messageOf } from '../base/errors.ts'
import type { HeldFunctions } from '../event-source/functions/held-functions.ts'
import { stackNotes } from '../infrastructure/stack-notes.ts'
import type { Stack } from '../infrastructure/stack.ts'
import { printableLine } from '../telemetry/printable.ts'
import type { Logger } from '../telemetry/telemetry.ts'
import { originText } from './template-targets.ts'

/** Lines, and parts of a line, at a time. */
const shownMax = 20

/**
 * Logs what a person should know about a stack: what has no value, what is left out, and functions
 * that cannot be invoked. What was said of the version before is not said again.
 */
export function createTemplateReport(
  {
    logger,
    functions,
  }: { readonly logger: Pick<Logger, 'warn'>; readonly functions: Pick<HeldFunctions, 'module'> },
  { functionsDir }: { readonly functionsDir: string },
): (stack: Stack) => Promise<void> {
  let told: ReadonlySet<string> = new Set()

  return async (stack) => {
    const others = [...stack.notRead].map(([type, count]) => `${type} (${count})`)
    const lines = [
      ...stackNotes(stack),
      ...(others.length === 0 ? [] : [`not made in the lab: ${shorten(others)}`]),
      ...(await functionNotes(stack, functions, functionsDir)),
    ]
    const news = lines.filter((line) => !told.has(line))
    told = new Set(lines)
    for (const line of news.slice(0, shownMax)) logger.warn({}, printableLine(line))
    const more = news.length - shownMax
    if (more > 0) logger.warn({}, `and ${more} more lines: sluice check of the template shows all`)
  }
}

/** Names the first of many parts. */
export function shorten(parts: readonly string[]): string {
  const shown = parts.slice(0, shownMax).join(', ')
  return parts.length > shownMax ? `${shown} and ${parts.length - shownMax} more` : shown
}

async function functionNotes(
  stack: Stack,
  functions: Pick<HeldFunctions, 'module'>,
  functionsDir: string,
): Promise<readonly string[]> {
  const notes: string[] = []
  for (const { name, ...origin } of stack.functions) {
    const where = originText(origin)
    const own = ['.mjs', '.json'].find((end) => existsSync(path.join(functionsDir, name + end)))
    if (own !== undefined) {
      notes.push(`function ${name}: ${name}${own} in ${functionsDir} runs, and not ${where}`)
      continue
    }
    await functions.module(name).catch((thrown: unknown) => {
      notes.push(`function ${name} (${where}) cannot be invoked: ${messageOf(thrown)}`)
    })
  }
  return notes
}
