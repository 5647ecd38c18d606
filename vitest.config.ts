import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts', 'examples/**/*.test.ts'],
    globalSetup: 'test/support/redis-setup.ts',
    // Of what hangs; a busy machine may take its time.
    testTimeout: 90_000,
    hookTimeout: 90_000,
    // What is waited for comes from other processes, on machines that are busy.
    expect: { poll: { timeout: 15_000 } },
    pool: 'forks',
    // Most tests wait for a process that they started.
    maxWorkers: 2,
    coverage: { provider: 'v8', include: ['src/**'], reporter: ['lcovonly', 'text-summary'] },
  },
})
