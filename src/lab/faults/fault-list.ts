import { SluiceError } from '../../base/errors.ts'
import type { Logger } from '../../telemetry/telemetry.ts'
import { readFaultRule } from './fault-rule.ts'
import type { FaultRule, Faults, ListedFault } from './faults.ts'

/**
 * The fault rules of a lab as people change them, at `/_faults` of the lab's own port and at
 * `/v1/lab/faults` of the engine.
 */
export interface FaultList {
  all(): readonly ListedFault[]
  /** @throws SluiceError ResourceNotFoundException */
  get(id: string): ListedFault
  /**
   * @param rule a fault rule as JSON
   * @throws SluiceError InvalidRequestException, naming the field; LimitExceededException
   */
  add(rule: unknown): ListedFault
  /** @throws SluiceError ResourceNotFoundException */
  remove(id: string): void
  clear(): void
}

interface FaultListDependencies {
  readonly faults: Faults
  /** The names of all operations, which a rule may select. */
  readonly operations: readonly string[]
  readonly logger: Logger
}

export function createFaultList({ faults, operations, logger }: FaultListDependencies): FaultList {
  const get = (id: string): ListedFault => {
    const item = faults.list().find((listed) => listed.id === id)
    if (item) return item
    throw notFound(id)
  }
  return {
    all: () => faults.list(),
    get,
    add(given) {
      const rule = readFaultRule(given, operations)
      const { id } = addRule(faults, rule)
      logger.info({ fault: rule, id }, 'a fault rule was added')
      return get(id)
    },
    remove(id) {
      if (!faults.remove(id)) throw notFound(id)
      logger.info({ id }, 'a fault rule was removed')
    },
    clear() {
      faults.clear()
      logger.info({}, 'the fault rules were removed')
    },
  }
}

function addRule(faults: Faults, rule: FaultRule): { readonly id: string } {
  try {
    return faults.add(rule)
  } catch (thrown) {
    if (!(thrown instanceof RangeError)) throw thrown
    throw new SluiceError('LimitExceededException', `${thrown.message}: remove some`)
  }
}

const notFound = (id: string) =>
  new SluiceError('ResourceNotFoundException', `there is no fault rule with the id ${id}`)
