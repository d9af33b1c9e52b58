import { randomUUID } from 'node:crypto'
import { Command, Option } from 'commander'
import { systemClock } from '../clock.ts'
import { labAccountId, loadConfig } from '../config.ts'
import type { Message } from '../message.ts'
import { paint } from './host.ts'
import type { Host } from './host.ts'

interface EvaluateOptions {
  readonly sql: string
  readonly topic: string
  readonly payload: string
  readonly sqlVersion: '2015-10-08' | '2016-03-23' | 'beta'
  readonly clientId?: string
  readonly template: readonly string[]
}

export function evaluateCommand(host: Host): Command {
  return new Command('evaluate')
    .description('try a statement on a message; nothing is sent')
    .requiredOption('--sql <statement>', 'the statement of the rule')
    .requiredOption('--topic <topic>', 'topic of the message')
    .option('--payload <text>', 'payload of the message', '')
    .option('--client-id <id>', 'MQTT client id of the sender')
    .option('--template <text...>', 'templates to expand on the message', [])
    .addOption(
      new Option('--sql-version <version>', 'awsIotSqlVersion of the rule')
        .choices(['2015-10-08', '2016-03-23', 'beta'])
        .default('2016-03-23'),
    )
    .addHelpText(
      'after',
      `
It prints what the rule's actions would get, byte for byte. Exit code 2 when the rule does not match.

Example:
  sluice evaluate --sql "SELECT temp FROM 'dt/+/x' WHERE temp > 50" --topic dt/7/x --payload '{"temp": 61.5}'
`,
    )
    .action((options: EvaluateOptions) => evaluate(host, options))
}

/** What the command answers when the rule does not match: told apart from an error, which is 1. */
const exitCodeUnmatched = 2

async function evaluate(host: Host, options: EvaluateOptions): Promise<void> {
  const { region } = loadConfig(host.environment, 'lab')
  const { evaluateRule } = await import('../engine.ts')
  const { createRuleCompiler } = await import('../rules/compile-rule.ts')
  const { compileTemplate } = await import('../templates/template.ts')
  const { compileStatement } = await import('../sql/sql.ts')
  const { parsePayload } = await import('../rules/payload.ts')
  const { messageOfRequest } = await import('../admin/message-request.ts')

  const compile = createRuleCompiler(
    { compileStatement, compileActions: () => [] },
    { region, accountId: labAccountId },
  )
  const nowMs = systemClock.nowMs()
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
    { payloadText: undefined, where: 'message', nowMs },
  )
  const evaluation = evaluateRule(
    rule,
    message,
    { accountId: labAccountId, newUuid: randomUUID },
    templates,
  )
  for (const [index, text] of evaluation.templates.entries()) {
    host.stderr.write(`${options.template[index]} -> ${text}\n`)
  }
  if (evaluation.output) {
    host.stdout.write(evaluation.output)
    host.stdout.write('\n')
    return
  }
  host.stderr.write(`${paint(host.stderr, 'yellow', 'no match')}\n`)
  host.setExitCode(exitCodeUnmatched)
}
