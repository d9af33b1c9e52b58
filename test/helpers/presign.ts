import { createHash, createHmac } from 'node:crypto'
import { SignatureV4 } from '@smithy/signature-v4'
import type { SignatureV4CryptoInit } from '@smithy/signature-v4'

/** What the signer of AWS's clients is given to hash with. */
export class Sha256 {
  readonly #hash
  constructor(secret?: ConstructorParameters<SignatureV4CryptoInit['sha256']>[0]) {
    this.#hash =
      secret === undefined
        ? createHash('sha256')
        : createHmac(
            'sha256',
            typeof secret === 'string' ? secret : new Uint8Array(secret as ArrayBuffer),
          )
  }
  update(chunk: Uint8Array): void {
    this.#hash.update(chunk)
  }
  async digest(): Promise<Uint8Array> {
    return this.#hash.digest()
  }
  reset(): void {}
}

export interface PresignedMqtt {
  /** As the client will send it: `127.0.0.1:8080`. */
  readonly host: string
  readonly credentials: {
    readonly accessKeyId: string
    readonly secretAccessKey: string
    readonly sessionToken?: string
  }
  readonly region?: string
  readonly signingDate?: Date
}

/**
 * Path and query of a WebSocket as AWS's device SDKs sign it: the session token comes behind the
 * signature.
 */
export async function presignMqtt(given: PresignedMqtt): Promise<string> {
  const { host, region = 'us-east-1', signingDate = new Date() } = given
  const { sessionToken, ...credentials } = given.credentials
  const signer = new SignatureV4({
    service: 'iotdevicegateway',
    region,
    credentials,
    sha256: Sha256,
    applyChecksum: false,
  })
  const request = {
    method: 'GET',
    protocol: 'wss:',
    hostname: host,
    path: '/mqtt',
    headers: { host },
    query: {},
  }
  const { query = {} } = await signer.presign(request, { signingDate, expiresIn: 300 })
  const pairs = Object.entries({
    ...query,
    ...(sessionToken !== undefined && { 'X-Amz-Security-Token': sessionToken }),
  }).map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`)
  return `/mqtt?${pairs.join('&')}`
}
