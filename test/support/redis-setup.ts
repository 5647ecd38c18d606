/**
 * Before all tests: a `redis-server` to start. Debian's is installed where that is allowed; where
 * there is none, the tests that need it are not run, and that is said. CI demands it.
 */
import { execFileSync } from 'node:child_process'
import { redisServer } from './redis.ts'

export default function setup(): void {
  if (redisServer() !== undefined) return
  if (process.platform === 'linux' && process.getuid?.() === 0) install()
  if (redisServer() !== undefined) return
  const told = 'there is no redis-server on PATH: the tests of the store "redis" are not run'
  if (process.env.CI || process.env.SALLYPORT_REQUIRE_REDIS) throw new Error(told)
  console.warn(told)
}

function install(): void {
  const quietly = { stdio: 'ignore', env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } } as const
  try {
    execFileSync('apt-get', ['update'], quietly)
    execFileSync('apt-get', ['install', '-y', '--no-install-recommends', 'redis-server'], quietly)
  } catch {
    // Not Debian, or not connected: there is none.
  }
}
