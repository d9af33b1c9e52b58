import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { afterAll } from 'vitest'
import { freePorts } from '../helpers/free-ports.ts'
import { makeStores, storePassword } from './stores.ts'
import type { Stores } from './stores.ts'

const run = promisify(execFile)
/** The version whose behaviour the tests know. */
const kafkaVersion = '4.1.1'
const installMsMax = 300_000
const startMsMax = 120_000

/** The users of the broker and their passwords; `stranger` may write nowhere. */
export const users = { device: 'device-password', stranger: 'stranger-password' }

/** A broker of Apache Kafka, or why there is none. */
export type KafkaBroker =
  | {
      readonly isRunning: true
      /** `host:port` of each listener. */
      readonly plaintext: string
      readonly ssl: string
      readonly saslSsl: string
      readonly saslPlaintext: string
      readonly stores: Stores
      /** Ends the process without a word, and starts it again with the same data. */
      restart(whileDown: () => Promise<void>): Promise<void>
      /** The records of a topic, as Kafka's own console consumer prints them. */
      printed(topic: string): Promise<readonly string[]>
    }
  | { readonly isRunning: false; readonly reason: string }

/**
 * Starts a broker from the jars of `KAFKA_HOME`, or from those that Maven finds. It ends with the
 * tests of the file.
 */
export async function startKafka(): Promise<KafkaBroker> {
  const folder = mkdtempSync(path.join(tmpdir(), 'sluice-kafka-'))
  const removeFolder = () => rmSync(folder, { recursive: true, force: true })
  try {
    const home = process.env['KAFKA_HOME']
    const jars = home === undefined ? await findJars(folder) : path.join(home, 'libs')
    const java = createJava(jars)
    const stores = makeStores(folder)
    const ports = await freePorts(5)
    const [plaintext = 0, ssl = 0, saslSsl = 0, saslPlaintext = 0, controller = 0] = ports
    const properties = path.join(folder, 'server.properties')
    writeFileSync(
      properties,
      propertiesOf(folder, stores, { plaintext, ssl, saslSsl, saslPlaintext, controller }),
    )
    await java.run('kafka.tools.StorageTool', [
      'format',
      '-t',
      'c2x1aWNlLXRlc3RzLWthZg',
      '-c',
      properties,
      ...Object.entries(users).flatMap(([name, password]) =>
        ['SCRAM-SHA-256', 'SCRAM-SHA-512'].flatMap((mechanism) => [
          '--add-scram',
          `${mechanism}=[name=${name},password=${password}]`,
        ]),
      ),
    ])
    let broker = await java.start(properties, plaintext)
    afterAll(async () => {
      await broker.kill()
      removeFolder()
    })
    return {
      isRunning: true,
      plaintext: `127.0.0.1:${plaintext}`,
      ssl: `localhost:${ssl}`,
      saslSsl: `localhost:${saslSsl}`,
      saslPlaintext: `127.0.0.1:${saslPlaintext}`,
      stores,
      async restart(whileDown) {
        await broker.kill()
        await whileDown()
        broker = await java.start(properties, plaintext)
      },
      printed: (topic) => java.consume(topic, `127.0.0.1:${plaintext}`),
    }
  } catch (thrown) {
    removeFolder()
    const message = thrown instanceof Error ? thrown.message : String(thrown)
    return { isRunning: false, reason: message.trim().split('\n').slice(0, 2).join(': ') }
  }
}

/** The jars of a broker and its tools, from Maven Central. */
async function findJars(folder: string): Promise<string> {
  const project = path.join(folder, 'project')
  mkdirSync(project)
  const artifacts = ['kafka_2.13', 'kafka-tools']
    .map(
      (name) =>
        `<dependency><groupId>org.apache.kafka</groupId><artifactId>${name}</artifactId>` +
        `<version>${kafkaVersion}</version></dependency>`,
    )
    .join('')
  const pom =
    '<project><modelVersion>4.0.0</modelVersion><groupId>sluice</groupId>' +
    `<artifactId>broker</artifactId><version>1</version><dependencies>${artifacts}</dependencies></project>`
  writeFileSync(path.join(project, 'pom.xml'), pom)
  const jars = path.join(folder, 'jars')
  const goal = ['-q', '-B', 'dependency:copy-dependencies', `-DoutputDirectory=${jars}`]
  await run('mvn', goal, { cwd: project, timeout: installMsMax })
  return jars
}

function createJava(jars: string) {
  const options = (name: string) => [
    '-Xmx384m',
    '-XX:TieredStopAtLevel=1',
    '-cp',
    `${jars}/*`,
    name,
  ]

  return {
    run: (name: string, arguments_: readonly string[]) =>
      run('java', [...options(name), ...arguments_], { timeout: startMsMax }),
    async start(properties: string, port: number) {
      const broker = spawn('java', [...options('kafka.Kafka'), properties], { stdio: 'ignore' })
      // Rejects when the process cannot be started.
      const ended = once(broker, 'exit')
      const kill = async () => {
        broker.kill('SIGKILL')
        await ended.catch(() => undefined)
      }
      const failed = ended.then(() => {
        throw new Error('the broker has ended')
      })
      await Promise.race([listens(port), failed]).catch(async (thrown: unknown) => {
        await kill()
        throw thrown
      })
      return { kill }
    },
    async consume(topic: string, server: string): Promise<readonly string[]> {
      const { stdout } = await run(
        'java',
        [
          ...options('org.apache.kafka.tools.consumer.ConsoleConsumer'),
          '--bootstrap-server',
          server,
          '--topic',
          topic,
          '--from-beginning',
          // It ends when nothing came for this time.
          '--timeout-ms',
          '10000',
          ...['partition', 'headers', 'key'].flatMap((what) => [
            '--property',
            `print.${what}=true`,
          ]),
        ],
        { timeout: startMsMax },
      )
      return stdout.split('\n').filter((line) => line.startsWith('Partition:'))
    },
  }
}

function propertiesOf(
  folder: string,
  { brokerKeys, brokerTrust }: Stores,
  ports: Readonly<Record<'plaintext' | 'ssl' | 'saslSsl' | 'saslPlaintext' | 'controller', number>>,
): string {
  const plainUsers = Object.entries(users).map(([name, password]) => `user_${name}="${password}"`)
  const plain = `org.apache.kafka.common.security.plain.PlainLoginModule required ${plainUsers.join(' ')};`
  const scram = 'org.apache.kafka.common.security.scram.ScramLoginModule required;'
  const listeners = [
    `PLAINTEXT://127.0.0.1:${ports.plaintext}`,
    `SSL://localhost:${ports.ssl}`,
    `SASL_SSL://localhost:${ports.saslSsl}`,
    `SASL_PLAINTEXT://127.0.0.1:${ports.saslPlaintext}`,
  ]
  return [
    'process.roles=broker,controller',
    'node.id=1',
    `controller.quorum.voters=1@127.0.0.1:${ports.controller}`,
    'controller.listener.names=CONTROLLER',
    `listeners=${listeners.join(',')},CONTROLLER://127.0.0.1:${ports.controller}`,
    `advertised.listeners=${listeners.join(',')}`,
    'listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_SSL:SASL_SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT',
    `log.dirs=${path.join(folder, 'data')}`,
    'num.partitions=3',
    'offsets.topic.replication.factor=1',
    'group.initial.rebalance.delay.ms=0',
    'sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512',
    ...['sasl_ssl', 'sasl_plaintext'].flatMap((listener) => [
      `listener.name.${listener}.plain.sasl.jaas.config=${plain}`,
      `listener.name.${listener}.scram-sha-256.sasl.jaas.config=${scram}`,
      `listener.name.${listener}.scram-sha-512.sasl.jaas.config=${scram}`,
    ]),
    `ssl.keystore.location=${brokerKeys}`,
    `ssl.keystore.password=${storePassword}`,
    'ssl.keystore.type=PKCS12',
    `ssl.truststore.location=${brokerTrust}`,
    `ssl.truststore.password=${storePassword}`,
    'ssl.truststore.type=PKCS12',
    'listener.name.ssl.ssl.client.auth=required',
    'authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer',
    'super.users=User:ANONYMOUS;User:device;User:CN=client',
    '',
  ].join('\n')
}

/** Resolves when a broker listens: it does when it is ready. */
async function listens(port: number): Promise<void> {
  const giveUp = AbortSignal.timeout(startMsMax)
  for (;;) {
    if (giveUp.aborted) throw new Error(`the broker has not started within ${startMsMax} ms`)
    const socket = connect(port, '127.0.0.1')
    const isOpen = await once(socket, 'connect').then(
      () => true,
      () => false,
    )
    socket.destroy()
    if (isOpen) return
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}
