/**
 * Watches files and folders. The one door of `chokidar`.
 *
 * A notice says only "look again": what changed is for the reader of the files to find out, by
 * their contents. Editors write by rename, `git checkout` touches many files, and Kubernetes
 * switches a symlink, so a notice comes after a quiet spell, once.
 */
import path from 'node:path'
import { watch } from 'chokidar'

export interface Watcher {
  close(): Promise<void>
}

/** No notice while changes still come in. */
const QUIET_MS = 100
/** Looked at this often even when nothing was noticed: some file systems tell nothing. */
const LOOK_ANYWAY_MS = 5000

/**
 * @param target - A file or a folder, which need not exist. Its parent is watched too, so that one
 *   that is replaced whole, or comes later, is seen.
 * @param notice - Called after each quiet spell.
 */
export function watchPath(target: string, notice: () => void): Watcher {
  const parent = path.dirname(target)
  const inside = (file: string): boolean => file === target || file.startsWith(target + path.sep)
  let quiet: NodeJS.Timeout | undefined

  const restart = (): void => {
    clearTimeout(quiet)
    quiet = setTimeout(notice, QUIET_MS)
  }
  const watcher = watch([target, parent], {
    ignoreInitial: true,
    ignored: file => file !== parent && !inside(file),
  })
  watcher.on('all', restart)
  // A symlink that is switched to a folder that was there before is no event of its own.
  watcher.on('raw', (_event, _file, details) => {
    const { watchedPath } = (details ?? {}) as { watchedPath?: string }
    if (watchedPath !== undefined && inside(watchedPath)) restart()
  })
  // What changed before the watch stood was not seen.
  watcher.on('ready', restart)
  // A watch that fails leaves the look that is taken anyway.
  watcher.on('error', () => {})
  const anyway = setInterval(notice, LOOK_ANYWAY_MS).unref()

  return {
    async close() {
      clearTimeout(quiet)
      clearInterval(anyway)
      await watcher.close()
    },
  }
}
