import { configDefaults, defineConfig } from 'vitest/config'
import { PATIENCE } from './test/patience.ts'

const common = {
  pool: 'forks' as const,
  // No measurements: a busy machine takes its time.
  testTimeout: 60_000,
  hookTimeout: 60_000,
  expect: { poll: PATIENCE },
  setupFiles: ['test/setup.ts'],
  // Those need servers: `npm run test:cluster` and `npm run test:faults`.
  exclude: [...configDefaults.exclude, '**/*.cluster.test.ts', '**/*.faults.test.ts'],
}

// Three groups, one after the other: what runs in this process in parallel, what starts processes, and one at a time
// the end-to-end tests, whose measurements of memory and time a neighbour would falsify.
export default defineConfig({
  test: {
    reporters: ['default', './test/skip-reporter.ts'],
    projects: [
      {
        test: {
          ...common,
          name: 'unit',
          include: ['test/{unit,contract}/**/*.test.ts', 'test/*.test.ts'],
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          ...common,
          name: 'integration',
          include: ['test/integration/**/*.test.ts'],
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          ...common,
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          testTimeout: 300_000,
          maxWorkers: 1,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
})
