"""Opinions: their classes, and pairs of sentences that tell whether a model hears a negation, or sarcasm."""

import re

import numpy as np

CLASSES = ["negative", "neutral", "positive"]


def side(scores, errors):
    """Class of each mean rating: neutral within two standard errors of 0, borders included.

    >>> side([0.5, 0.5, -2.0, 0.0], [0.1, 0.3, 0.2, 0.0]).tolist()
    ['positive', 'neutral', 'negative', 'neutral']
    """
    scores, reach = np.asarray(scores), 2 * np.asarray(errors)
    return np.select([scores > reach, scores < -reach], ["positive", "negative"], "neutral")


def spread(probabilities, classes):
    """Probabilities of the classes that a model knows, as columns of CLASSES; 0 for the others."""
    table = np.zeros((len(probabilities), len(CLASSES)))
    table[:, [CLASSES.index(one) for one in classes]] = probabilities
    return table


def leans(probabilities):
    """True where a row is more probably positive than negative, whatever the model makes of neutral."""
    return probabilities[:, 2] > probabilities[:, 0]


# ---- probes: what they test | the positive sentence | the negative one | English, where it is not ------------------

PAIRS = {
    "en": """
negation | The battery is good. | The battery is not good.
negation | I would buy it again. | I would never buy it again.
negation | The plot makes sense. | The plot makes no sense.
negation | It is worth the money. | It is not worth the money.
negation | I can recommend this camera. | I cannot recommend this camera.
negation | The remote always works. | The remote hardly ever works.
negation | You will like this film. | You will not like this film.
negation | Everybody was friendly. | Nobody was friendly.
negation | We had fun. | We did not have any fun.
negation | The menu is easy to use. | The menu is anything but easy to use.
negation | The screen is not bad at all. | The screen is bad.
negation | I have no complaints. | I have complaints.
negation | You will not regret it. | You will regret it.
negation | The service never disappoints. | The service always disappoints.
negation | Nothing is wrong with the sound. | Something is wrong with the sound.
negation | The story is never boring. | The story is boring.
sarcasm | Great, the parcel came a day early. | Great, the parcel came broken again.
sarcasm | I love how quickly it charges. | I love how it dies after ten minutes.
sarcasm | Just what I needed: a quiet evening. | Just what I needed: another flat tyre.
sarcasm | What a film! I stayed awake until the end. | What a film! I slept until the end.
sarcasm | Brilliant idea to add a second pocket. | Brilliant idea to put the off switch under the battery.
sarcasm | Thanks for answering so quickly. | Thanks for leaving me on hold for two hours.
sarcasm | The best part was the music. | The best part was the exit sign.
sarcasm | Wonderful, it works with my old phone. | Wonderful, it works with no phone at all.
sarcasm | A masterpiece, and I hope for a sequel. | A masterpiece, if you have never seen another film.
sarcasm | How clever: it cleans itself. | How clever: it breaks itself.
""",
    "zh": """
negation | 房间很干净。 | 房间不干净。 | The room is (not) clean.
negation | 我会再来。 | 我不会再来。 | I will (not) come again.
negation | 这本书值得买。 | 这本书不值得买。 | This book is (not) worth buying.
negation | 早餐好吃。 | 早餐不好吃。 | Breakfast is (not) tasty.
negation | 服务员很有礼貌。 | 服务员没有礼貌。 | The waiters have (no) manners.
negation | 我喜欢这个牌子。 | 我从来不喜欢这个牌子。 | I (never) like this brand.
negation | 质量好。 | 质量并非好。 | The quality is (by no means) good.
negation | 物流很快。 | 物流一点也不快。 | Delivery is (not at all) fast.
negation | 这台电脑性价比高。 | 这台电脑性价比不高。 | This computer is (not) good value.
negation | 内容有新意。 | 内容毫无新意。 | The contents have something (nothing) new.
negation | 质量真不错。 | 质量真差。 | The quality is really not bad / bad.
negation | 没有什么缺点。 | 有很多缺点。 | It has no / many faults.
negation | 用起来没问题。 | 用起来有问题。 | No / some trouble in use.
negation | 不后悔买了它。 | 后悔买了它。 | I do not / do regret buying it.
negation | 房间没有异味。 | 房间有异味。 | The room does not / does smell.
negation | 一点也不吵。 | 非常吵。 | Not noisy at all / very noisy.
sarcasm | 太好了，提前一天送到。 | 太好了，又送来一个坏的。 | Great, it came a day early / another broken one came.
sarcasm | 真不愧是五星级，床很舒服。 | 真不愧是五星级，蟑螂都免费送。 | Truly five stars: soft bed / free cockroaches.
sarcasm | 散热真厉害，一点也不烫。 | 散热真厉害，可以煎鸡蛋了。 | Such cooling: stays cold / you can fry an egg on it.
sarcasm | 这书真好，一口气看完了。 | 这书真好，催眠特别有效。 | Such a book: read in one go / a fine sleeping pill.
sarcasm | 前台真热情，主动帮我们拿行李。 | 前台真热情，让我们站着等了一小时。 | So warm: bags / an hour's wait.
sarcasm | 隔音真棒，一夜安静。 | 隔音真棒，隔壁说话听得清清楚楚。 | Such walls: quiet / every word from next door.
sarcasm | 客服真专业，马上解决了。 | 客服真专业，三天没有回音。 | Such service: solved at once / silent for days.
sarcasm | 电池真耐用，可以用一天。 | 电池真耐用，坚持了整整十分钟。 | Such a battery: a day / ten whole minutes.
sarcasm | 早餐真丰富，有二十多种。 | 早餐真丰富，馒头加咸菜。 | Such a breakfast: twenty dishes / buns and pickles.
sarcasm | 包装真用心，一点没坏。 | 包装真用心，盒子都烂了。 | Packed with such care: nothing broken / the box in shreds.
""",
}
GOOD = {
    "en": r"(\b(?:is|was|are|were)|'s)( (?:very |really |so |pretty )?"
    r"(?:good|great|excellent|nice|perfect|wonderful|amazing|easy|beautiful|happy|fun|funny|interesting)\b)",
    "zh": r"(很|非常)(?="
    r"(?:好|干净|舒服|方便|满意|喜欢|快|热情|漂亮|实用|清晰|值得|清楚|合理|安静|流畅|周到|理想|划算)(?!像))",
}


def pairs(language):
    """The pairs of sentences written by hand: list of (kind, positive, negative, gloss or "")."""
    lines = [line.split(" | ") for line in PAIRS[language].strip().splitlines()]
    return [(*line, "")[:4] for line in lines]


def negated(text, language):
    """The text with its one praise negated, or None where it has none, several, or a negation already.

    >>> negated("The sound is really good.", "en"), negated("房间很干净", "zh"), negated("It is not good.", "en")
    ('The sound is not really good.', '房间不干净', None)
    """
    if len(re.findall(GOOD[language], text)) != 1 or re.search(r"\b(?:not|no|never|but)\b|n't|不|没|无|但", text):
        return None
    return re.sub(GOOD[language], r"\1 not\2" if language == "en" else "不", text)
