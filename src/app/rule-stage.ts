import { readFile } from 'node:fs/promises'
import path from 'node:path'
import type { ActionKind } from '../actions/action/action.ts'
import { compileActions } from '../actions/compile-actions.ts'
import type { HttpHosts } from '../aws/http/http-hosts.ts'
import { endedKinds, hasSender, refusalOfEnded } from '../aws/service-senders.ts'
import type { Config } from '../config/config.ts'
import { refusalOfKafka } from '../kafka/client-properties.ts'
import { createAccountGate } from './account-stage.ts'
import type { AccountStage } from './account-stage.ts'
import type { LabActions, NoteRecorded } from '../lab/calls/lab-actions.ts'
import { withDestinations } from './destination-stage.ts'
import type { LabStage } from './lab-stage.ts'
import { createRuleCompiler } from '../rules/compile-rule.ts'
import type { CompileRule } from '../rules/compile-rule.ts'
import type { TopicRuleDestinations } from '../rules/destinations/topic-rule-destinations.ts'
import { openRuleStore } from '../rules/rule-store.ts'
import type { RuleStore, RuleStoreDependencies } from '../rules/rule-store.ts'
import { compileStatement } from '../sql/sql.ts'
import type { AppDependencies } from './app-dependencies.ts'
import type { Stages } from './stages.ts'
import type { TemplateStage } from './template-stage.ts'
import type { Logger } from '../telemetry/telemetry.ts'

type OpenRulesDependencies = RuleStoreDependencies & {
  readonly destinations: Pick<TopicRuleDestinations, 'ensure'>
  readonly account: Pick<AccountStage, 'isKnown' | 'known'>
  readonly lab: LabStage | undefined
  readonly noteRecorded: NoteRecorded | undefined
  readonly templates: TemplateStage | undefined
}

/**
 * Opens the rules. In the lab a new folder begins with a sample, streams of rules are created, and
 * a rule that cannot be used is left out. `sluice start` does not begin with such a rule. Later
 * rules that ask for the account are refused until it is known, and their files are read then.
 */
export function openRules(
  given: AppDependencies,
  dependencies: OpenRulesDependencies,
  stages: Stages,
): Promise<RuleStore> {
  const { account } = dependencies
  const gate = createAccountGate(account, dependencies.compile)
  const compile = withDestinations(gate.compile, dependencies.destinations)
  let isClosed = false
  const open = async () => {
    const store = await openStore(given, { ...dependencies, compile })
    gate.close()
    if (!account.isKnown()) {
      void account.known.then(() => (isClosed ? undefined : store.rescan()))
    }
    return store
  }
  return stages.open('rules', open, (it) => {
    isClosed = true
    return it.close()
  })
}

async function openStore(
  { config, shared, templates: given }: AppDependencies,
  { lab, noteRecorded, compile, templates, ...watch }: OpenRulesDependencies,
): Promise<RuleStore> {
  const { rulesDir: directory, rulesMax, dataDir } = config
  const lastGoodFolder = path.join(dataDir, 'last-good-rules')
  const options = { directory, source: shared?.rules, rulesMax, lastGoodFolder }
  if (lab === undefined) {
    const store = await openRuleStore({ compile, ...watch }, options)
    warnOfSampleRoles(store, watch.logger)
    return store
  }
  const rules = await openRuleStore(
    { compile: lab.withStreams(compile), ...watch },
    {
      ...options,
      onInvalid: 'leaveOut',
      // Templates bring what is to be tried.
      sample: given === undefined || given.paths.length === 0 ? await readSampleRule() : undefined,
    },
  )
  await lab.streamsMade()
  for (const { name, payload } of rules.all()) noteRecorded?.(name, payload)
  await templates?.holdRules({ lab, rules, noteRecorded })
  return rules
}

/**
 * The documentation uses this account, as AWS's does. Only the lab can assume its roles.
 */
const sampleRoles = /arn:aws:iam::123456789012:role\/[\w+=,.@/-]+/

function warnOfSampleRoles(rules: RuleStore, logger: Logger): void {
  for (const { name, payload } of rules.all()) {
    const [role] = sampleRoles.exec(JSON.stringify(payload)) ?? []
    if (role === undefined) continue
    logger.warn(
      { rule: name, roleArn: role },
      `the rule ${name} names a role of the samples, which works in the lab alone: put a role ` +
        'of your account into it, or delete the rule',
    )
  }
}

/** @throws Error when the profile of the SDK cannot be read (rejects) */
export async function ruleCompiler(
  { region, regex, firstVersion, delivery, mqtt }: Config,
  account: Pick<AccountStage, 'shownId'>,
  labActions: Pick<LabActions, 'refusalOf'> | undefined,
  { urlProblem: httpUrlProblem }: Pick<HttpHosts, 'urlProblem'>,
): Promise<CompileRule> {
  const { refusalOf } = labActions ?? (await createActionRefusals())
  return createRuleCompiler(
    { compileStatement, compileActions },
    {
      region,
      get accountId() {
        return account.shownId()
      },
      regex,
      firstVersion,
      delivery,
      topicLimits: mqtt,
      payloadBytesMax: mqtt.payloadBytesMax,
      refusalOf,
      httpUrlProblem,
    },
  )
}

/** Decides which actions `sluice start` refuses, because nothing would take their calls. */
export async function createActionRefusals(): Promise<Pick<LabActions, 'refusalOf'>> {
  const ended = await Promise.all(
    endedKinds.map(async (kind) => [kind, await refusalOfEnded(kind)] as const),
  )
  const refusals = new Map<ActionKind, string | undefined>(ended)
  return {
    refusalOf(kind, fields) {
      if (kind === 'kafka') return refusalOfKafka(fields)
      if (kind === 'kinesis' || kind === 'republish' || hasSender(kind)) return refusals.get(kind)
      return 'this engine does not send to this service yet; the lab records what it would be sent'
    },
  }
}

/** The rule with which a new folder of the lab begins. */
async function readSampleRule() {
  const file = new URL('../../rules/hot_devices.json', import.meta.url)
  return { name: 'hot_devices', text: await readFile(file, 'utf8') }
}
