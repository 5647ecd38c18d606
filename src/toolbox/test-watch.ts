/**
 * `test --watch`: runs again whenever the policy, the scenarios or the config change, until it is stopped.
 */
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { readSource } from '../policy/compile/source.ts'
import { watchPath } from '../watcher.ts'
import { CommandExit } from './output.ts'
import type { TestTarget } from './test-targets.ts'

/** @param run - Prints what it found out. */
export async function watchTests(
  targets: readonly TestTarget[],
  config: string,
  run: () => Promise<void>,
): Promise<void> {
  let seen: string | undefined
  let running = Promise.resolve()

  async function look(): Promise<void> {
    const now = digestOf(targets, config)
    if (now === seen) return
    seen = now
    try {
      await run()
    } catch (error) {
      // What is wrong now may be mended with the next change.
      if (!(error instanceof CommandExit)) process.stderr.write(`sallyport: ${(error as Error).message}\n`)
    }
  }

  const notice = (): void => {
    running = running.then(look)
  }
  const files = targets.flatMap(({ folder, scenarios }) => [folder, ...scenarios])
  const watchers = [...files, path.resolve(config)].map(file => watchPath(file, notice))
  notice()
  await stopSignal()
  await Promise.all(watchers.map(watcher => watcher.close()))
  await running
}

/** Of what is tested: a notice may have come for nothing. */
function digestOf(targets: readonly TestTarget[], config: string): string {
  const sources = targets.map(({ folder, scenarios }) => [
    sourceDigest(folder),
    ...scenarios.map(readIfThere),
  ])
  return JSON.stringify([readIfThere(config), sources])
}

function sourceDigest(folder: string): string {
  try {
    return readSource(folder).digest
  } catch (error) {
    return (error as Error).message
  }
}

function readIfThere(file: string): string {
  return existsSync(file) ? readFileSync(file, 'utf8') : ''
}

function stopSignal(): Promise<void> {
  return new Promise(resolve => {
    process.once('SIGINT', () => resolve())
    process.once('SIGTERM', () => resolve())
  })
}
