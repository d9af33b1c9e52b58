import { createHash, createHmac } from 'node:crypto'
import type { SignatureV4CryptoInit } from '@smithy/signature-v4'

type Sha256Constructor = SignatureV4CryptoInit['sha256']
type Secret = ConstructorParameters<Sha256Constructor>[0]

/** node:crypto in the form that the signer needs: a class, because it creates hashes with `new`. */
export class NodeSha256 {
  readonly #hash

  constructor(secret?: Secret) {
    this.#hash = secret === undefined ? createHash('sha256') : createHmac('sha256', bytesOf(secret))
  }

  update(chunk: NonNullable<Secret>): void {
    this.#hash.update(bytesOf(chunk))
  }

  async digest(): Promise<Uint8Array> {
    return this.#hash.digest()
  }

  reset(): void {
    throw new Error('a hash of the signer is used once')
  }
}

function bytesOf(data: NonNullable<Secret>): string | Uint8Array {
  if (typeof data === 'string') return data
  return ArrayBuffer.isView(data)
    ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    : new Uint8Array(data)
}
