import { defineConfig } from 'vitest/config'
import './test/compile-cache.ts'

// What `npm run test:faults` runs, one file at a time: the scenarios of the cluster's suite with more seeds and more
// messages, and what shows only in some of its runs and is repeated until it does.
export default defineConfig({
  test: {
    pool: 'forks',
    maxWorkers: 1,
    testTimeout: 1_800_000,
    hookTimeout: 1_800_000,
    setupFiles: ['test/setup.ts'],
    include: ['test/**/*.faults.test.ts', 'test/e2e/cluster/*.cluster.test.ts', 'test/integration/*/power-cut.test.ts'],
    env: { SLUICE_FAULTS: 'full', SLUICE_LONG: '1' },
  },
})
