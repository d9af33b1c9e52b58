import { randomUUID } from 'node:crypto'
import { messageOfRequest } from '../../http/sluice/message-request.ts'
import { systemClock } from '../../base/clock.ts'
import { compileActions } from '../../actions/compile-actions.ts'
import { evaluateRule } from '../../engine/evaluate-rule.ts'
import { SluiceError } from '../../base/errors.ts'
import type { Message } from '../../message.ts'
import { createRuleCompiler } from '../../rules/compile-rule.ts'
import { parsePayload } from '../../rules/payload.ts'
import { compileStatement } from '../../sql/sql.ts'
import type { SqlVersion } from '../../sql/sql.ts'
import { compileTemplate } from '../../sql/template.ts'
import { paint } from '../terminal/host.ts'
import type { Host } from '../terminal/host.ts'
import { withLocalExternals } from './local-externals.ts'
import { noMatchText } from './no-match-text.ts'
import { readRuleSettings } from './rule-settings.ts'

export interface EvaluateOptions {
  readonly sql: string
  readonly topic: string
  readonly payload: string
  readonly sqlVersion: SqlVersion
  readonly clientId?: string
  readonly template: readonly string[]
}

/** What the command answers when the rule does not match: told apart from an error, which is 1. */
const exitCodeUnmatched = 2

/** `sluice evaluate`: one statement on one message, by the engine's own path. */
export async function evaluateStatement(host: Host, options: EvaluateOptions): Promise<void> {
  const settings = readRuleSettings(host.environment)
  const compile = createRuleCompiler({ compileStatement, compileActions }, settings)
  const nowMs = systemClock.wallMs()
  const rule = compile({
    name: 'evaluate',
    payload: parsePayload({ sql: options.sql, actions: [], awsIotSqlVersion: options.sqlVersion }),
    createdAt: Math.floor(nowMs / 1000),
    tags: {},
  })
  const templates = options.template.map((text) => compileTemplate(text, rule.statement))
  const message: Message = messageOfRequest(
    {
      topic: options.topic,
      payloadBase64: Buffer.from(options.payload).toString('base64'),
      ...(options.clientId !== undefined && { clientId: options.clientId }),
    },
    {
      payloadText: undefined,
      where: 'message',
      nowMs,
      topicLimits: settings.topicLimits,
      payloadBytesMax: settings.payloadBytesMax,
    },
  )
  const evaluation = await withLocalExternals(host, settings, (callExternal) => {
    const environment = { accountId: settings.accountId, newUuid: randomUUID, callExternal }
    return evaluateRule(rule, message, environment, templates)
  })
  for (const [index, text] of evaluation.templates.entries()) {
    host.stderr.write(`${options.template[index]} -> ${text}\n`)
  }
  const [failure] = evaluation.failures
  if (failure) throw new SluiceError(failure.code, `${failure.where}: ${failure.message}`)
  if (evaluation.output) {
    host.stdout.write(evaluation.output)
    host.stdout.write('\n')
    return
  }
  const why = evaluation.noMatch ? `: ${noMatchText(evaluation.noMatch)}` : '\n'
  host.stderr.write(`${paint(host.stderr, 'yellow', 'no match')}${why}`)
  host.setExitCode(exitCodeUnmatched)
}
