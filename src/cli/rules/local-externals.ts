import { systemClock } from '../../base/clock.ts'
import type { FunctionApi } from '../../event-source/functions/function-api.ts'
import { createLabExternals } from '../../lab/calls/lab-externals.ts'
import type { CallExternal } from '../../sql/externals/external-request.ts'
import type { Host } from '../terminal/host.ts'
import type { RuleSettings } from './rule-settings.ts'

/**
 * Runs something with the external functions of the lab, which need not run, and ends the functions
 * that were invoked, so that the process can end.
 */
export async function withLocalExternals<Result>(
  host: Pick<Host, 'stderr' | 'leaveAws'>,
  settings: RuleSettings,
  run: (callExternal: CallExternal) => Promise<Result> | Result,
): Promise<Result> {
  const clock = systemClock
  let opening: ReturnType<typeof openFunctions> | undefined

  /** Loaded with the first call, because most rules invoke none. */
  async function openFunctions() {
    const [{ createFunctions }, { createFunctionApi }, { createMemoryLogger }] = await Promise.all([
      import('../../event-source/functions/functions.ts'),
      import('../../event-source/functions/function-api.ts'),
      import('../../telemetry/logger.ts'),
    ])
    // What functions print goes to people, and not between the results.
    const logger = createMemoryLogger(({ function: name, msg }) =>
      host.stderr.write(`${String(name)}: ${String(msg)}\n`),
    )
    const functions = createFunctions(
      { clock, logger },
      { ...settings, directory: settings.functionsDir },
    )
    const api = createFunctionApi({ clock, logger, functions }, settings)
    return { functions, api }
  }

  const invoke: FunctionApi['invoke'] = async (...call) => {
    opening ??= openFunctions()
    return (await opening).api.invoke(...call)
  }
  if (Object.keys(settings.emulators.endpoints).length > 0) host.leaveAws()
  const externals = createLabExternals({ clock, functions: { invoke } }, settings)

  try {
    return await run(externals.call)
  } finally {
    externals.close()
    const opened = await opening
    opened?.api.stop()
    await opened?.functions.close()
  }
}
