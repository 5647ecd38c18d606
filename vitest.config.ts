import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts', 'examples/**/*.test.ts'],
    globalSetup: 'test/support/redis-setup.ts',
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // What is waited for comes from other processes, on machines that are busy.
    expect: { poll: { timeout: 15_000 } },
    pool: 'forks',
    // Most tests wait for a process that they started.
    maxWorkers: 2,
    coverage: { provider: 'v8', include: ['src/**'], reporter: ['lcovonly', 'text-summary'] },
  },
})
