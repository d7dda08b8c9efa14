#!/usr/bin/env bash
# Builds the pages of docs/, README.md and ARCHITECTURE.md as a book with search, in
# target/book/html, and checks every link in it. `--draw` draws docs/flow.svg from docs/flow.bob;
# without it, the picture must match the text. mdBook and svgbob are pinned and installed under
# target/tools if they are missing.
set -euo pipefail
cd "$(dirname "$0")/../.."

tools=$PWD/target/tools
install() { # package, version, binary, more arguments
    local package=$1 version=$2 binary=$3
    shift 3
    if ! [[ $("$tools/bin/$binary" --version 2> /dev/null) =~ $version ]]; then
        # Without optimisation, because the tool runs for a moment only.
        cargo install "$package" --version "$version" --locked --debug --quiet "$@" \
            --root "$tools" --target-dir "$tools/build"
        rm -r "$tools/build"
    fi
}
install svgbob_cli 0.7.6 svgbob_cli
install mdbook 0.5.4 mdbook --no-default-features --features search

# The colours suit a light page. A media query replaces them if the reader prefers a dark page.
draw() {
    "$tools/bin/svgbob_cli" --background transparent --stroke-color '#24292f' --fill-color '#24292f' docs/flow.bob |
        sed 's|</style>|@media (prefers-color-scheme: dark) { .svgbob line, .svgbob path, .svgbob circle, .svgbob rect, .svgbob polygon { stroke: #e6edf3 } .svgbob text, .svgbob .filled { fill: #e6edf3 } }</style>|'
}
if [[ ${1-} == --draw ]]; then
    draw > docs/flow.svg
fi
draw | diff -q - docs/flow.svg > /dev/null || {
    echo "docs/flow.svg does not match docs/flow.bob: run docs/book/build.sh --draw" >&2
    exit 1
}

book=target/book
rm -rf "$book"
mkdir -p "$book/src"
cp docs/book/book.toml "$book"
cp docs/book/SUMMARY.md "$book/src"
# The files have the same relative paths as in the repository, so that links to them work.
git ls-files -z -- ':(glob)*' docs examples schemas .github |
    xargs -0 cp --parents --target-directory="$book/src"
"$tools/bin/mdbook" build "$book"
python3 docs/book/links.py "$book/html"
