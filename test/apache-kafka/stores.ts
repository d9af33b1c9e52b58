import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import path from 'node:path'

/** The password of every store. */
export const storePassword = 'store-password'

/** Files of keys and certificates: those of the broker, and those of a client in each format. */
export interface Stores {
  readonly brokerKeys: string
  readonly brokerTrust: string
  /** As a client property has them: base64 or PEM. */
  readonly client: {
    readonly keysPkcs12: string
    readonly keysPem: string
    readonly trustPkcs12: string
    readonly trustPem: string
    readonly trustJks: string
    /** Certificates that the broker's is not among. */
    readonly otherTrust: string
  }
}

/** Makes the stores with the keytool of Java and with openssl. */
export function makeStores(folder: string): Stores {
  const file = (name: string) => path.join(folder, name)
  const keytool = (...options: readonly string[]) =>
    execFileSync('keytool', [...options, '-storepass', storePassword], { stdio: 'pipe' })
  const keyPair = (name: string, ...options: readonly string[]) => {
    const store = ['-keystore', file(`${name}.p12`), '-storetype', 'PKCS12']
    const pair = ['-genkeypair', '-alias', name, '-keyalg', 'RSA', '-keysize', '2048']
    keytool(...pair, '-validity', '2', '-dname', `CN=${name}`, ...store, ...options)
    const pem = file(`${name}.pem`)
    keytool('-exportcert', '-rfc', '-alias', name, '-file', pem, ...store)
  }
  const trust = (name: string, of: string, type: string) =>
    keytool(
      '-importcert',
      '-noprompt',
      '-alias',
      of,
      '-file',
      file(`${of}.pem`),
      '-keystore',
      file(name),
      '-storetype',
      type,
    )
  keyPair('broker', '-ext', 'SAN=DNS:localhost,IP:127.0.0.1')
  keyPair('client')
  trust('broker-trust.p12', 'client', 'PKCS12')
  trust('client-trust.p12', 'broker', 'PKCS12')
  trust('client-trust.jks', 'broker', 'JKS')
  trust('other-trust.p12', 'client', 'PKCS12')
  const keysPem = execFileSync('openssl', [
    'pkcs12',
    '-in',
    file('client.p12'),
    '-passin',
    `pass:${storePassword}`,
    '-passout',
    `pass:${storePassword}`,
  ])
  const base64 = (name: string) => readFileSync(file(name)).toString('base64')
  return {
    brokerKeys: file('broker.p12'),
    brokerTrust: file('broker-trust.p12'),
    client: {
      keysPkcs12: base64('client.p12'),
      keysPem: keysPem.toString(),
      trustPkcs12: base64('client-trust.p12'),
      trustPem: readFileSync(file('broker.pem'), 'utf8'),
      trustJks: base64('client-trust.jks'),
      otherTrust: base64('other-trust.p12'),
    },
  }
}
