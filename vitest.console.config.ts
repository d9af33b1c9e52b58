import { defineConfig, mergeConfig } from 'vitest/config'
import config from './vitest.config.ts'

/** `npm run test:console`: the console in a real browser. */
export default mergeConfig(
  { ...config, test: { ...config.test, projects: undefined } },
  // The names of skipped tests say why they are.
  defineConfig({
    test: { include: ['test/console/**/*.test.ts'], reporters: ['verbose'], testTimeout: 60_000 },
  }),
)
