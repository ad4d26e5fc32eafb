"""The work: reads a text and says what is in it. Counts words, indexes the telling ones by line, and picks the sentences
that say most about the rest: degree centrality as in LexRank, over shared trigrams of letters, so that "licence",
"licensed" and "licensing" count as related.

`Work` is done in small steps, so that its owner can answer probes in between, and can be put down and taken up again:
a checkpoint is the list of scores so far.
"""

import math
import re

WORD = re.compile(r"[^\W\d_]{2,}")
SENTENCE_END = re.compile(r"(?<=[.!?;:])\s+|\n\s*\n")
COMMON = frozenset("""a about all also an and any are as at be been but by can could do does for from had has have if in
into is it its may more must no not of on one only or other our shall she should so some such than that the their them
then there these they this to under up was we were what when which who will with within without would you your""".split())
SENTENCES = 400  # more are not compared: the cost grows with the square
PICKED = 5


class Work:
    def __init__(self, text, checkpoint=None):
        self.text = text
        self.words = {}
        self.lines = {}
        self.sentences = []
        self.scores = list(checkpoint or ())
        self.resumed_at = len(self.scores)
        self.steps = self.run()

    def step(self):
        """A few milliseconds of work. False when there is nothing left to do."""
        return next(self.steps, None) is not None

    def progress(self):
        return len(self.scores) / len(self.sentences) if self.sentences else 0.0

    def run(self):
        yield from self.count()
        yield from self.split()
        yield from self.compare()

    def count(self):
        for number, line in enumerate(self.text.splitlines(), 1):
            for word in WORD.findall(line.lower()):
                self.words[word] = self.words.get(word, 0) + 1
                if word not in COMMON:
                    places = self.lines.setdefault(word, [])
                    if not places or places[-1] != number:
                        places.append(number)
            if number % 50 == 0:
                yield True

    def split(self):
        for part in SENTENCE_END.split(self.text):
            words = frozenset(WORD.findall(part.lower())) - COMMON
            if len(words) >= 4 and len(self.sentences) < SENTENCES:
                self.sentences.append((" ".join(part.split()), frozenset(trigrams(words))))
                if len(self.sentences) % 50 == 0:
                    yield True

    def compare(self):
        total = len(self.sentences)
        rarity = {}
        for _, grams in self.sentences:
            for gram in grams:
                rarity[gram] = rarity.get(gram, 0) + 1
        rarity = {gram: math.log(1 + total / times) for gram, times in rarity.items()}
        weight = rarity.__getitem__
        norms = [math.sqrt(sum(map(weight, grams))) for _, grams in self.sentences]
        del self.scores[total:]
        for row in range(len(self.scores), total):
            mine, norm, score = self.sentences[row][1], norms[row], 0.0
            for (_, grams), other in zip(self.sentences, norms):
                shared = mine & grams
                if shared:
                    score += sum(map(weight, shared)) / (norm * other)
            self.scores.append(round(score, 4))
            yield True

    def checkpoint(self):
        return self.scores

    def result(self):
        best = sorted(range(len(self.sentences)), key=lambda row: (-self.scores[row], row))[:PICKED]
        common = sorted((w for w in self.words if w not in COMMON), key=lambda w: (-self.words[w], w))
        return {
            "words": sum(self.words.values()),
            "distinct_words": len(self.words),
            "sentences": len(self.sentences),
            "top_words": {word: self.words[word] for word in common[:20]},
            "index": {word: self.lines[word][:20] for word in common[:60]},
            "summary": [self.sentences[row][0][:300] for row in sorted(best)],
        }


def trigrams(words):
    for word in words:
        padded = "^%s$" % word
        for start in range(len(padded) - 2):
            yield padded[start:start + 3]
