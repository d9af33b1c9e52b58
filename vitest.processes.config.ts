import { defineConfig, mergeConfig } from 'vitest/config'
import config, { processTests } from './vitest.config.ts'

/** `npm run test:processes`: the commands of the documents, and data folders of others. */
export default mergeConfig(
  { ...config, test: { ...config.test, projects: undefined } },
  defineConfig({ test: { include: processTests } }),
)
