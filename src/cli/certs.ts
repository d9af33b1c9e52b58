import path from 'node:path'
import { Command } from 'commander'
import { systemClock } from '../base/clock.ts'
import type {
  CertificateFiles,
  CertificateFolder,
} from '../identity/certificates/certificate-folder.ts'
import { addMoreHelp } from './terminal/help.ts'
import { paint } from './terminal/host.ts'
import type { Host } from './terminal/host.ts'

interface CertsOptions {
  readonly dir: string
  readonly device: readonly string[]
  readonly host: readonly string[]
  readonly force: boolean
}

export function certsCommand(host: Host): Command {
  const command = new Command('certs')
    .description('make a CA, a server certificate and device certificates for a lab')
    .option('--dir <path>', 'folder of the certificates', './certs')
    .option('--device <name...>', 'devices to make certificates for', ['device-1'])
    .option('--host <name...>', 'names or addresses of the server, besides this machine', [])
    .option('--force', 'make server and devices anew; the CA is always kept', false)
    .action((options: CertsOptions) => makeCertificates(host, options))
  return addMoreHelp(command, host, {
    notes: [
      'What is there is kept, so that calling it again adds what is missing. Keys are ' +
        'readable by their owner alone. This is for labs and tests: the key of the CA lies ' +
        'unencrypted beside the others.',
    ],
    examples: ['sluice certs --device sensor-1 sensor-2 --host broker.local 192.168.1.10'],
  })
}

async function makeCertificates(host: Host, options: CertsOptions): Promise<void> {
  // Loaded when needed: `sluice --help` should not wait for it.
  const { makeCertificateFolder } = await import('../identity/certificates/certificate-folder.ts')
  const made = await makeCertificateFolder({
    directory: options.dir,
    devices: options.device,
    hosts: options.host,
    force: options.force,
    nowMs: systemClock.wallMs(),
  })
  host.stdout.write(describeFiles(host, made))
  const { hostsMissing, certificateFile } = made.server
  if (hostsMissing.length > 0) {
    host.stderr.write(
      `${certificateFile} was kept and does not name ${hostsMissing.join(', ')}: ` +
        '--force makes it anew\n',
    )
  }
  const useless = [made.server, ...made.devices].filter(({ problem }) => problem !== undefined)
  for (const { certificateFile: file, problem } of useless) {
    host.stderr.write(`${file} was kept and ${problem}: --force makes it anew\n`)
  }
  if (useless.length > 0) host.setExitCode(1)
  host.stdout.write(describeUse(made, options.host[0]))
}

function describeFiles(host: Host, { authority, server, devices }: CertificateFolder): string {
  const line = ({ state, certificateFile, problem }: CertificateFiles, what: string) => {
    const colour = state === 'made' ? 'green' : 'dim'
    const shownState =
      problem === undefined
        ? paint(host.stdout, colour, state)
        : paint(host.stdout, 'red', 'kept, of no use')
    return `  ${shownState}  ${certificateFile}  ${what}\n`
  }
  return [
    line(authority, 'the CA: clients trust it'),
    line(server, 'what the server shows'),
    ...devices.map((device) => line(device, `principal ${device.principal}`)),
  ].join('')
}

function describeUse(
  { authority, server, devices }: CertificateFolder,
  host: string | undefined,
): string {
  const [device] = devices
  if (!device) return ''
  const { certificateFile, keyFile } = server
  // On this machine the lab is found by its data folder.
  const where = host === undefined ? '' : `--host ${host} -p 8883 `
  return `
A lab that shows the server certificate and knows its clients by theirs:

  SLUICE_TLS_CERT_FILE=${shown(certificateFile)} SLUICE_TLS_KEY_FILE=${shown(keyFile)} \\
    SLUICE_TLS_CA_FILE=${shown(authority.certificateFile)} npx sluice lab

A device that publishes to it:

  npx sluice pub ${where}--ca ${shown(authority.certificateFile)} \\
    --cert ${shown(device.certificateFile)} --key ${shown(device.keyFile)} \\
    -i ${device.name} -t dt/${device.name}/telemetry -m '{"temp": 61.5}'
`
}

const shown = (file: string) => path.relative('.', file)
