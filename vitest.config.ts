import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts', 'examples/**/*.test.ts'],
    globalSetup: 'test/support/redis-setup.ts',
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // On a machine that is busy with something else, too.
    expect: { poll: { timeout: 10_000 } },
    pool: 'forks',
    // Most tests wait for a process that they started.
    maxWorkers: 2,
    coverage: { provider: 'v8', include: ['src/**'], reporter: ['lcovonly', 'text-summary'] },
  },
})
