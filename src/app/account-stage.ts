import path from 'node:path'
import type { Clock } from '../base/clock.ts'
import { SluiceError } from '../base/errors.ts'
import { labAccountId } from '../config/config.ts'
import type { Config } from '../config/config.ts'
import { accountFileName, openAccount } from '../identity/account.ts'
import type { AccessKeys } from '../identity/access-keys/access-keys.ts'
import type { ResourceOwner } from '../identity/policies/resource-arn.ts'
import type { MqttStage } from './mqtt-stage.ts'
import type { CompileRule } from '../rules/compile-rule.ts'
import type { RuleStore } from '../rules/rule-store.ts'
import type { Logger } from '../telemetry/telemetry.ts'

/** The account, as the stages need it: what policies are asked about, and what ARNs show. */
export interface AccountStage {
  /** What policies are asked about: its account is undefined until it is known. */
  readonly owner: ResourceOwner
  /** For ARNs that are shown, and for nothing that is decided: zeros until the account is known. */
  shownId(): string
  isKnown(): boolean
  /** Resolves once the account is known; never when it stays unknown. */
  readonly known: Promise<void>
  /**
   * Resolves when the account is known, or nothing that is in force depends on it.
   *
   * @param isNeeded whether something does
   * @param httpPort where health can be asked meanwhile; undefined before there is one
   * @returns rejects with an AbortError when the signal aborts
   */
  settled(isNeeded: () => boolean, httpPort?: number): Promise<void>
  close(): void
}

interface AccountStageDependencies {
  readonly config: Config
  readonly logger: Logger
  readonly clock: Clock
  readonly ask: () => Promise<string>
  /** Aborts when the process is to stop. */
  readonly signal: AbortSignal
}

/** @param directory the data folder */
export async function openAccountStage(
  { config, logger, clock, ask, signal }: AccountStageDependencies,
  directory: string,
): Promise<AccountStage> {
  const file = path.join(directory, accountFileName)
  const account = await openAccount({ ask, clock, logger }, { file, fixed: config.accountId })
  return {
    owner: {
      region: config.region,
      get accountId() {
        return account.id()
      },
    },
    shownId: () => account.id() ?? labAccountId,
    isKnown: () => account.id() !== undefined,
    known: account.known,
    settled: (isNeeded, httpPort) =>
      account.settled({
        isNeeded,
        onWait: () =>
          logger.error(
            { waitsFor: 'account', http: httpPort },
            'a policy or a rule depends on the account, which is not known: clients are let in ' +
              'when STS has said which it is; or set SLUICE_ACCOUNT_ID',
          ),
        signal,
      }),
    close: () => account.close(),
  }
}

/** A rule whose statement or templates may ask which account this is. */
function asksForAccount({ payload }: { readonly payload: unknown }): boolean {
  // JSON writes white space as escapes, before the name as well as behind it.
  return /accountid(?:\s|\\[bfnrt]|\\u000b)*\(/i.test(JSON.stringify(payload))
}

/**
 * Keeps rules that ask for the account from running while it is not known. Rules of the start are
 * not refused, because the start waits for the account (`dependsOnAccount`): the gate is open until
 * they are read.
 */
interface AccountGate {
  /**
   * Compiles as the compiler behind it does.
   *
   * @throws SluiceError ServiceUnavailableException as well: an enabled rule calls accountid(), the
   *   account is not known, and the gate is closed
   */
  readonly compile: CompileRule
  close(): void
}

export function createAccountGate(
  account: Pick<AccountStage, 'isKnown'>,
  compile: CompileRule,
): AccountGate {
  let isClosed = false
  return {
    compile(definition) {
      const rule = compile(definition)
      if (isClosed && !rule.disabled && !account.isKnown() && asksForAccount(rule)) {
        throw new SluiceError(
          'ServiceUnavailableException',
          'the rule calls accountid(), and the account is not known: try again when STS has said ' +
            'which it is, or set SLUICE_ACCOUNT_ID',
        )
      }
      return rule
    },
    close() {
      isClosed = true
    },
  }
}

/** Whether what is in force decides by the account: no message may come before it is known. */
export function dependsOnAccount(stages: {
  readonly mqtt: Pick<MqttStage, 'namesAccount'>
  readonly accessKeys: Pick<AccessKeys, 'namesAccount'>
  readonly rules: Pick<RuleStore, 'all'>
}): boolean {
  const { mqtt, accessKeys, rules } = stages
  const isAsking = () => rules.all().some((rule) => !rule.disabled && asksForAccount(rule))
  return mqtt.namesAccount() || accessKeys.namesAccount() || isAsking()
}
