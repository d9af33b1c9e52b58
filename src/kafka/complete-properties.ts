import { messageOf } from '../base/errors.ts'
import type { CallExternal } from '../sql/externals/external-request.ts'
import type { ClientProperties } from './client-properties.ts'
import { KafkaProblem } from './kafka-problem.ts'
import { readPropertyTemplate } from './property-template.ts'

/**
 * Reads the secrets of properties.
 *
 * @param readSecret answers `get_secret`
 * @returns the properties without templates, which nobody may log
 * @throws KafkaProblem SecretUnavailable, naming property and secret
 */
export async function completeProperties(
  properties: ClientProperties,
  readSecret: CallExternal,
  signal: AbortSignal,
): Promise<ClientProperties> {
  const entries = Object.entries(properties).map(async ([name, value]) => {
    const parts = readPropertyTemplate(value).map(async (part) => {
      if (typeof part === 'string') return part
      const place = `clientProperties.${name}: get_secret of ${part.secretId}`
      const secret = await readSecret(part, signal).catch((thrown: unknown) => {
        const problem = `${place}: ${messageOf(thrown)}`
        throw new KafkaProblem('SecretUnavailable', problem, { cause: thrown })
      })
      if (typeof secret === 'string') return secret
      throw new KafkaProblem('SecretUnavailable', `${place}: name a key of it that has a text`)
    })
    return [name, (await Promise.all(parts)).join('')] as const
  })
  return Object.fromEntries(await Promise.all(entries))
}
