import { Command } from 'commander'
import { isInCluster, withCluster } from './cluster/with-cluster.ts'
import { addMoreHelp } from './terminal/help.ts'
import type { Host } from './terminal/host.ts'
import { readPassword } from './terminal/read-password.ts'

interface PasswdOptions {
  readonly file?: string
  readonly delete: boolean
}

const fileVariable = 'SLUICE_PASSWORD_FILE'
const fileDefault = './passwords'

export function passwdCommand(host: Host): Command {
  const command = new Command('passwd')
    .description('set the password of an MQTT user')
    .argument('<user>', 'name that the client logs in with')
    .option(
      '--file <path>',
      `file of the passwords (default: ${fileVariable}, else ${fileDefault})`,
    )
    .option('--delete', 'take the user away instead', false)
    .action((user: string, options: PasswdOptions) => changePassword(host, user, options))
  return addMoreHelp(command, host, {
    notes: [
      'The password is asked for twice, or read from standard input: its first line. The ' +
        'file, made with mode 600, holds scrypt hashes. A server that uses the file takes ' +
        'the change in within a second.',
      'With SLUICE_NATS_URL, and without --file, it is the password of a user of the cluster.',
    ],
    examples: [
      'sluice passwd device-7',
      'pass show mqtt/device-7 | sluice passwd device-7 --file /etc/sluice/passwords',
    ],
  })
}

async function changePassword(host: Host, user: string, options: PasswdOptions): Promise<void> {
  // Loaded when needed: `sluice --help` should not wait for it.
  const { checkedUser, removeUser, setPassword } =
    await import('../identity/passwords/password-file.ts')
  if (options.file === undefined && isInCluster(host)) {
    checkedUser(user)
    return changeInCluster(host, user, options)
  }
  // As elsewhere, an empty variable counts as not set.
  const file = options.file ?? (host.environment[fileVariable] || fileDefault)
  // Before anyone types a password in vain.
  checkedUser(user)
  if (options.delete) {
    const wasThere = await removeUser(file, user)
    host.stdout.write(
      wasThere ? `${user} was removed from ${file}\n` : `${user} is not in ${file}\n`,
    )
    if (!wasThere) host.setExitCode(1)
    return
  }
  const password = await readPassword(host, user)
  const wasThere = await setPassword(file, { user, password })
  host.stdout.write(
    wasThere ? `${user} has a new password in ${file}\n` : `${user} was added to ${file}\n`,
  )
}

async function changeInCluster(
  host: Host,
  user: string,
  { delete: isDeleted }: PasswdOptions,
): Promise<void> {
  const { removeClusterUser, setClusterPassword } = await import('./cluster/change-secrets.ts')
  const password = isDeleted ? undefined : await readPassword(host, user)
  await withCluster(host, async (state) => {
    const wasThere =
      password === undefined
        ? await removeClusterUser(state, user)
        : await setClusterPassword(state, { user, password })
    if (isDeleted && !wasThere) host.setExitCode(1)
    host.stdout.write(`${user} ${outcomeOf(isDeleted, wasThere)} ${state.place}\n`)
  })
}

function outcomeOf(isDeleted: boolean, wasThere: boolean): string {
  if (isDeleted) return wasThere ? 'was removed from' : 'is not in'
  return wasThere ? 'has a new password in' : 'was added to'
}
