import { SluiceError } from '../base/errors.ts'
import { readVariables } from './variable.ts'
import type { Environment } from './variable.ts'
import { variables } from './variables.ts'

/**
 * The region of `sluice start`, and of the commands that change a cluster.
 *
 * @throws SluiceError ConfigInvalid: the environment names none, or none that could exist
 */
export function requiredRegion(environment: Environment): string {
  const region = regionOfEnvironment(environment)
  if (region !== undefined) return region
  throw new SluiceError(
    'ConfigInvalid',
    'AWS_REGION is not set: it names the region of the streams, e.g. AWS_REGION=eu-central-1',
  )
}

/**
 * The region that the environment names outside the lab.
 *
 * @throws SluiceError ConfigInvalid
 */
export function regionOfEnvironment(environment: Environment): string | undefined {
  const { AWS_REGION: region } = readVariables(variables, environment, ['AWS_REGION'])
  if (region !== undefined) return region
  return readVariables(variables, environment, ['AWS_DEFAULT_REGION']).AWS_DEFAULT_REGION
}
