import { defineConfig, mergeConfig } from 'vitest/config'
import config from './vitest.config.ts'

/** `npm run test:long`: the promises of `npm test` at length, about ten minutes. */
export default mergeConfig(
  { ...config, test: { ...config.test, projects: undefined } },
  defineConfig({ test: { include: ['test/long/**/*.test.ts'], testTimeout: 3_600_000 } }),
)
